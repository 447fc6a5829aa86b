//! Why a broker may have hung up, from how far we had come.

use std::io;

use super::tls;
use crate::wire::connection::CallError;

/// What is known of a connection when it breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clues {
    pub(crate) tls: bool,
    /// Whether we showed a certificate.
    pub(crate) certificate: bool,
    pub(crate) sasl: bool,
}

impl Clues {
    /// What to say of a connection that broke behind so many answers.
    pub(crate) fn lost(self, error: &io::Error, answers: u64) -> CallError {
        // With TLS 1.3 the broker looks at our certificate when the handshake is over for us.
        if let Some(rustls::Error::AlertReceived(alert)) = tls::told(error) {
            return CallError::Refused(tls::of_alert(*alert, self.certificate));
        }
        let hint = match (answers, self) {
            (0, Self { tls: false, .. }) => " before its first answer: does this port want TLS or SASL?",
            (0, Self { tls: true, certificate: false, .. }) => {
                " before its first answer: does it want a client certificate (ssl.certificate.location, ssl.key.location)?"
            }
            // ApiVersions is all that is answered before SASL.
            (1, Self { sasl: false, .. }) => " behind its first answer: does this port want SASL?",
            _ => "",
        };
        CallError::Lost(format!("closed by the broker{hint} ({error})"))
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn how_far_we_came_tells_what_is_missing() {
        let plain = Clues::default();
        let tls = Clues { tls: true, ..plain };
        let mutual = Clues { certificate: true, ..tls };
        let sasl = Clues { sasl: true, ..tls };
        let cases = [
            (plain, 0, "closed by the broker before its first answer: does this port want TLS or SASL? (end of file)"),
            (
                tls,
                0,
                "closed by the broker before its first answer: does it want a client certificate (ssl.certificate.location, ssl.key.location)? (end of file)",
            ),
            (mutual, 0, "closed by the broker (end of file)"),
            (plain, 1, "closed by the broker behind its first answer: does this port want SASL? (end of file)"),
            (sasl, 1, "closed by the broker (end of file)"),
            (plain, 2, "closed by the broker (end of file)"),
        ];
        for (clues, answers, want) in cases {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "end of file");
            assert_eq!(clues.lost(&error, answers), CallError::Lost(want.to_owned()));
        }
        let alert = || io::Error::other(rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
        let told = tls.lost(&alert(), 0).to_string();
        assert!(told.contains("set ssl.certificate.location"), "{told}");
        let told = mutual.lost(&alert(), 0).to_string();
        assert!(told.contains("does not accept our client certificate"), "{told}");
    }
}
