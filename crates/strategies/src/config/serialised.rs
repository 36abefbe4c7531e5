//! A configuration in serde: a flat struct whose fields are all optional.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::settings::{BalancerConfig, Field, KEYS, SETTINGS, Setting};

const NAME: &str = "BalancerConfig";

impl Serialize for BalancerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(NAME, SETTINGS.len())?;
        let mut config = *self;
        for setting in &SETTINGS {
            match (setting.field)(&mut config) {
                Field::Switch(value) => fields.serialize_field(setting.key, value)?,
                Field::Count(value) => fields.serialize_field(setting.key, value)?,
                Field::Number(value) => fields.serialize_field(setting.key, value)?,
                text => fields.serialize_field(setting.key, &text.to_string())?,
            }
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for BalancerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(NAME, &KEYS, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = BalancerConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of a balancer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<BalancerConfig, A::Error> {
        let mut config = BalancerConfig::default();
        let mut seen = Vec::new();
        while let Some(key) = fields.next_key::<String>()? {
            let setting =
                Setting::find(&key).ok_or_else(|| A::Error::unknown_field(&key, &KEYS))?;
            if seen.contains(&setting.key) {
                return Err(A::Error::duplicate_field(setting.key));
            }
            seen.push(setting.key);
            match (setting.field)(&mut config) {
                Field::Switch(value) => *value = fields.next_value()?,
                Field::Count(value) => *value = fields.next_value()?,
                Field::Number(value) => *value = fields.next_value()?,
                _ => {
                    let text: String = fields.next_value()?;
                    setting.set_text(&mut config, &text).map_err(A::Error::custom)?;
                }
            }
        }
        config.validate().map_err(A::Error::custom)?;
        Ok(config)
    }
}
