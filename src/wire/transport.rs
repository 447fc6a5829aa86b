//! How bytes reach a broker. Security comes in here: whatever wraps the stream, the rest of the client does not see it.

use std::fmt;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::connection::CallError;
use super::security::Tls;

/// A stream to a broker, secured or plain.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads `host`, `host:port` or `[v6]:port`, without a port Kafka's 9092.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not HOST:PORT");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| refused())?),
            _ => (text, 9092),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || port == 0 || host.chars().any(|c| c.is_whitespace() || c == ',' || c == '/') {
            return Err(refused());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Connects to a broker, by TLS where it is given.
pub(crate) async fn dial(address: &Address, tls: Option<&Tls>) -> Result<Box<dyn Stream>, CallError> {
    let unreachable = |error: std::io::Error| CallError::Unreachable(error.to_string());
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.secure(&address.host, stream).await.map_err(CallError::Refused)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let cases = [
            ("kafka:9093", Some("kafka:9093")),
            ("kafka", Some("kafka:9092")),
            ("10.0.0.1:1", Some("10.0.0.1:1")),
            ("[::1]:9092", Some("[::1]:9092")),
            ("[::1]", Some("[::1]:9092")),
            ("", None),
            (":9092", None),
            ("kafka:", None),
            ("kafka:99999", None),
            ("kafka:0", None),
            ("a:1,b:2", None),
            ("http://kafka:9092", None),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Address>().ok().map(|at| at.to_string()).as_deref(), want, "{text:?}");
        }
    }
}
