//! A configuration in serde: a flat struct whose fields are all optional.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::balancer::BalancerConfig;
use super::settings::{KEYS, SETTINGS, Setting, Value, Values};

const NAME: &str = "BalancerConfig";

impl Serialize for BalancerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct(NAME, SETTINGS.len())?;
        for setting in &SETTINGS {
            match (setting.get)(&self.values) {
                Value::Switch(value) => fields.serialize_field(setting.key, &value)?,
                Value::Count(value) => fields.serialize_field(setting.key, &value)?,
                Value::Number(value) => fields.serialize_field(setting.key, &value)?,
                Value::Text(value) => fields.serialize_field(setting.key, &value)?,
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
        let mut values = Values::default();
        let mut seen = Vec::new();
        while let Some(key) = fields.next_key::<String>()? {
            let setting =
                Setting::find(&key).ok_or_else(|| A::Error::unknown_field(&key, &KEYS))?;
            if seen.contains(&setting.key) {
                return Err(A::Error::duplicate_field(setting.key));
            }
            seen.push(setting.key);
            let value = match (setting.get)(&values) {
                Value::Switch(_) => Value::Switch(fields.next_value()?),
                Value::Count(_) => Value::Count(fields.next_value()?),
                Value::Number(_) => Value::Number(fields.next_value()?),
                Value::Text(_) => Value::Text(fields.next_value()?),
            };
            setting.set(&mut values, value).map_err(A::Error::custom)?;
        }
        values.validate_together().map_err(A::Error::custom)?;
        Ok(BalancerConfig { values })
    }
}
