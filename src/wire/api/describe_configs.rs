//! DescribeConfigs: the settings of topics.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

const TOPIC: i8 = 2;

/// Asks for some settings of topics.
#[derive(Clone, Debug)]
pub(crate) struct DescribeConfigs {
    pub(crate) topics: Vec<String>,
    pub(crate) keys: &'static [&'static str],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    pub(crate) error_code: i16,
    pub(crate) topic: String,
    /// Name and value; the value of a secret is null.
    pub(crate) settings: Vec<(String, Option<String>)>,
}

impl Request for DescribeConfigs {
    const KEY: i16 = 32;
    const NAME: &'static str = "DescribeConfigs";
    const VERSIONS: RangeInclusive<i16> = 1..=4;
    const FLEXIBLE_FROM: i16 = 4;
    type Response = Vec<TopicSettings>;

    fn write(&self, version: i16, to: &mut Writer) {
        to.array(&self.topics, |to, topic| {
            to.i8(TOPIC);
            to.string(topic);
            to.array(self.keys, |to, key| to.string(key));
            to.tags();
        });
        to.bool(false); // include_synonyms
        if version >= 3 {
            to.bool(false); // include_documentation
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Vec<TopicSettings>, Malformed> {
        from.i32()?; // throttle_time_ms
        let topics = from.array(6, |from| {
            let error_code = from.i16()?;
            from.skip_string()?; // error_message
            from.i8()?; // resource_type
            let topic = from.string()?;
            let settings = from.array(6, |from| setting(version, from))?;
            from.tags()?;
            Ok(TopicSettings { error_code, topic, settings })
        })?;
        from.tags()?;
        Ok(topics)
    }
}

fn setting(version: i16, from: &mut Reader<'_>) -> Result<(String, Option<String>), Malformed> {
    let setting = (from.string()?, from.nullable_string()?);
    from.bool()?; // read_only
    from.i8()?; // config_source
    from.bool()?; // is_sensitive
    from.array(3, |from| {
        from.skip_string()?;
        from.skip_string()?;
        from.i8()?;
        from.tags()
    })?; // synonyms
    if version >= 3 {
        from.i8()?; // config_type
        from.skip_string()?; // documentation
    }
    from.tags()?;
    Ok(setting)
}
