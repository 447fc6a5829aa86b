use kafka_protocol::error::ResponseError;

use crate::model::kafka_error_name;

#[test]
fn errors_are_named_as_theirs_are() {
    for code in -1..=133_i16 {
        let theirs = ResponseError::try_from_code(code).map(|error| format!("{error:?}").to_lowercase());
        let ours = kafka_error_name(code).map(|name| name.replace('_', "").to_lowercase());
        assert_eq!(ours, theirs, "{code}");
    }
    for code in [i16::MIN, -2, 134, i16::MAX] {
        assert_eq!(kafka_error_name(code), None, "{code}");
    }
}
