use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Site, encoded};
use crate::web::demo::HOSTILE;
use crate::web::serve;

/// What Chromium makes of a page: the document after its scripts ran, and what it wrote to the console.
async fn browsed(url: &str) -> (String, String) {
    let profile = tempfile::tempdir().expect("a directory for the profile");
    let quiet = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"];
    let output = tokio::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--no-first-run", "--disable-sync"])
        .args(quiet)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom", url])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(90), output).await.expect("chromium ends");
    let output = output.expect("chromium is installed (tests/install)");
    let console = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = console.lines().filter(|line| line.contains("CONSOLE")).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), console.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_draws_the_charts_and_complains_of_nothing() {
    let site = Site::demo();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, site.router.clone(), stop.clone()));
    let group = format!("/clusters/main/groups/{}", encoded(HOSTILE));
    for (path, charts) in [("/", 8), (group.as_str(), 2), ("/clusters/main/canary", 2)] {
        let (document, console) = browsed(&format!("http://{address}{path}")).await;
        assert_eq!(console, "", "{path}");
        assert_eq!(document.matches("<canvas").count(), charts, "{path}: {document}");
    }
    let (document, _) = browsed(&format!("http://{address}/clusters/main/findings/f0012")).await;
    assert_eq!(document.matches(">copy</button>").count(), 2, "{document}");
    stop.cancel();
    served.await.expect("it stops");
}
