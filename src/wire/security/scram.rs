//! SCRAM (RFC 5802, RFC 7677): a password proven by both sides and sent by neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

use crate::model::Secret;

/// Fewer is no protection (RFC 7677), and Kafka itself refuses to store fewer.
const FEWEST_ITERATIONS: u32 = 4_096;
/// Kafka stores at most 16,384. What a false broker could make us compute is a tenth of a second.
const MOST_ITERATIONS: u32 = 100_000;

/// Which hash SCRAM goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// Our side of one SCRAM dialogue.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: Hash,
    password: Secret,
    nonce: String,
    first_bare: String,
    /// What the server must sign, and with which key, once we have proven ourselves.
    expected: Option<Expected>,
}

struct Expected {
    server_key: Vec<u8>,
    auth_message: String,
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Scram {
    /// A dialogue with a nonce that was never used before.
    pub(crate) fn new(hash: Hash, username: &str, password: Secret, nonce: [u8; 24]) -> Self {
        let nonce = BASE64.encode(nonce);
        // Kafka prepares neither name nor password (no SASLprep): both are the bytes of UTF-8 as they are.
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { hash, password, nonce, first_bare, expected: None }
    }

    /// What is sent first.
    pub(crate) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    /// What is sent next, or nothing once the server has proven that it knows the password too.
    pub(crate) fn next(&mut self, told: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let told = std::str::from_utf8(told).map_err(|_| "its SCRAM message is no text")?;
        match self.expected.take() {
            None => self.proof(told).map(Some),
            Some(expected) => self.verify(&expected, told).map(|()| None),
        }
    }

    fn proof(&mut self, server_first: &str) -> Result<Vec<u8>, String> {
        let mut parts = server_first.splitn(4, ',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).map(str::to_owned);
        let (Some(nonce), Some(salt), Some(iterations)) = (part("r="), part("s="), part("i=")) else {
            return Err("its first SCRAM message has no nonce, salt and iterations".to_owned());
        };
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err("its SCRAM nonce does not go on from ours".to_owned());
        }
        let salt = BASE64.decode(salt).map_err(|_| "its SCRAM salt is not Base64".to_owned())?;
        let iterations = iterations
            .parse()
            .ok()
            .filter(|count| (FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(count))
            .ok_or_else(|| {
                format!("it asks for SCRAM iterations outside {FEWEST_ITERATIONS} to {MOST_ITERATIONS}: store the user's credentials anew with 4096 or 8192")
            })?;
        // "biws" is the header "n,," in Base64: no channel binding, as Kafka knows none.
        let without_proof = format!("c=biws,r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let password = self.password.reveal().as_bytes();
        let (proof, server_key) = match self.hash {
            Hash::Sha256 => prove::<Hmac<Sha256>, Sha256>(password, &salt, iterations, &auth_message),
            Hash::Sha512 => prove::<Hmac<Sha512>, Sha512>(password, &salt, iterations, &auth_message),
        };
        self.expected = Some(Expected { server_key, auth_message });
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes())
    }

    fn verify(&self, expected: &Expected, server_final: &str) -> Result<(), String> {
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(format!("SCRAM ended with {error:?}"));
        }
        let signature = server_final.split(',').next().and_then(|part| part.strip_prefix("v="));
        let signature = signature.and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
        let Expected { server_key, auth_message } = expected;
        let holds = match self.hash {
            Hash::Sha256 => keyed::<Hmac<Sha256>>(server_key).chain_update(auth_message).verify_slice(&signature),
            Hash::Sha512 => keyed::<Hmac<Sha512>>(server_key).chain_update(auth_message).verify_slice(&signature),
        };
        holds.map_err(|_| "it does not prove that it knows the password: this may be a false broker".to_owned())
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The client's proof, and the key the server signs with.
fn prove<M, D>(password: &[u8], salt: &[u8], iterations: u32, auth_message: &str) -> (Vec<u8>, Vec<u8>)
where
    M: Mac + KeyInit + Clone,
    D: Digest,
{
    let sign = |key: &[u8], message: &[u8]| keyed::<M>(key).chain_update(message).finalize().into_bytes();
    let salted = salted::<M>(password, salt, iterations);
    let client_key = sign(&salted, b"Client Key");
    let signature = sign(&D::digest(&client_key), auth_message.as_bytes());
    let proof = client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
    (proof, sign(&salted, b"Server Key").to_vec())
}

/// PBKDF2 with one block of output, which RFC 5802 calls `Hi`.
fn salted<M: Mac + KeyInit + Clone>(password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
    let mac: M = keyed(password);
    let mut last = mac.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes();
    let mut salted = last.to_vec();
    for _ in 1..iterations {
        last = mac.clone().chain_update(&last).finalize().into_bytes();
        salted.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    salted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dialogue whose nonce is a published one.
    fn dialogue(hash: Hash, nonce: &str) -> Scram {
        let mut scram = Scram::new(hash, "user", Secret::new("pencil".to_owned()), [0; 24]);
        scram.nonce = nonce.to_owned();
        scram.first_bare = format!("n=user,r={nonce}");
        scram
    }

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &[u8] = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_dialogue_of_rfc_7677_is_spoken() {
        let mut scram = dialogue(Hash::Sha256, NONCE);
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = scram.next(FIRST).expect("it goes on").expect("there is a proof");
        assert_eq!(
            String::from_utf8_lossy(&proof),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.next(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(None));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_not_believed() {
        let told: [&[u8]; 5] = [
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            b"v=",
            b"",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
            b"e=other-error",
        ];
        for told in told {
            let mut scram = dialogue(Hash::Sha256, NONCE);
            scram.next(FIRST).expect("it goes on");
            assert!(scram.next(told).is_err(), "{}", String::from_utf8_lossy(told));
        }
    }

    #[test]
    fn what_a_false_server_may_begin_with_is_refused() {
        let cases = [
            ("another nonce", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            ("nothing added to ours", "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            ("too few iterations", "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095"),
            ("more than we compute", "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=100001"),
            ("no number", "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=many"),
            ("no salt", "r=rOprNGfwEbeRWgbNEkqOx,i=4096"),
            ("a salt that is not Base64", "r=rOprNGfwEbeRWgbNEkqOx,s=***,i=4096"),
            ("an extension that must be understood", "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            ("nothing", ""),
        ];
        for (name, told) in cases {
            assert!(dialogue(Hash::Sha256, NONCE).next(told.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn hi_is_pbkdf2() {
        // PBKDF2-HMAC-SHA-512 of "password", "salt", 4096: the vector in wide use beside those of RFC 6070.
        let salted = salted::<Hmac<Sha512>>(b"password", b"salt", 4096);
        let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5"
        );
    }

    #[test]
    fn names_are_escaped_and_secrets_are_not_shown() {
        let scram = Scram::new(Hash::Sha512, "a=b,c", Secret::new("hunter2".to_owned()), [7; 24]);
        assert!(scram.first().starts_with(b"n,,n=a=3Db=2Cc,r="));
        assert!(!format!("{scram:?}").contains("hunter2"));
    }
}
