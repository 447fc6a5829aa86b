//! The dialogue by which a connection is authenticated.

use kafka_protocol::messages as theirs;

use crate::dice::Dice;
use crate::text;
use crate::wire::api::sasl_authenticate::Authenticated;
use crate::wire::api::sasl_handshake::Mechanisms;

pub(crate) fn sasl_handshake(dice: &mut Dice) -> (theirs::SaslHandshakeResponse, Mechanisms) {
    let (error_code, offered) = (dice.i16(), dice.list(Dice::text));
    let theirs = theirs::SaslHandshakeResponse::default()
        .with_error_code(error_code)
        .with_mechanisms(offered.iter().map(|mechanism| text(mechanism)).collect());
    (theirs, Mechanisms { error_code, offered })
}

pub(crate) fn sasl_authenticate(dice: &mut Dice) -> (theirs::SaslAuthenticateResponse, Authenticated) {
    let ours = Authenticated {
        error_code: dice.i16(),
        error_message: dice.maybe(Dice::text),
        message: dice.list(|dice| dice.i16().to_be_bytes()[1]),
        session_lifetime_ms: dice.since(1, Dice::i64),
    };
    let theirs = theirs::SaslAuthenticateResponse::default()
        .with_error_code(ours.error_code)
        .with_error_message(ours.error_message.as_deref().map(text))
        .with_auth_bytes(ours.message.clone().into())
        .with_session_lifetime_ms(ours.session_lifetime_ms)
        .with_unknown_tagged_fields(dice.tags());
    (theirs, ours)
}
