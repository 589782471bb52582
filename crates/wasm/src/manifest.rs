//! The manifest of a plugin, in YAML or JSON. An unknown key is an error that names it.

use std::time::Duration;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::text::shown;
use crate::{Error, Result};

/// Maximum bytes of a manifest.
pub const MAX_BYTES: usize = 64 << 10;

/// Maximum number of permissions. With aliases, a short YAML text could list millions.
const MAX_PERMISSIONS: usize = 64;

/// Permissions that are reserved for later versions; requesting one is an error of its own.
const RESERVED: [&str; 12] = [
    "kv_read",
    "kv_write",
    "blob_read",
    "blob_write",
    "sql_read",
    "sql_write",
    "http",
    "randomness",
    "clock",
    "signing",
    "timers",
    "hooks",
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with the keys of a manifest")]
pub struct Manifest {
    /// The plugin's name. If given, it must be the one that the plugin is installed under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default = "default_version")]
    pub version: String,
    #[serde(default)]
    pub runtime: Kind,
    /// The module's file, relative to the manifest; by default `<name>.wasm` beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasm: Option<String>,
    #[serde(default)]
    pub limits: Limits,
    /// The host capabilities that the guest may use; no others.
    #[serde(default, deserialize_with = "permissions")]
    pub permissions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The kind of guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A core module that speaks the ABI of `guest/ABI.md`.
    #[default]
    Core,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with memory, time or fuel")]
pub struct Limits {
    /// Linear memory and tables of one instance: bytes, or a number with kB, MB or GB.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bytes")]
    pub memory: Option<usize>,
    /// Wall time of one call: milliseconds, or a number with ms, s or min.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time", serialize_with = "millis")]
    pub time: Option<Duration>,
    /// Approximate number of instructions of a call. Setting it compiles the plugin with counters, which makes it slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
}

/// A host capability that a manifest can request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    Log,
}

impl Permission {
    const ALL: [Self; 1] = [Self::Log];

    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            name: None,
            version: default_version(),
            runtime: Kind::Core,
            wasm: None,
            limits: Limits::default(),
            permissions: Vec::new(),
            description: None,
        }
    }
}

impl Manifest {
    /// Reads a file's YAML or JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Manifest("it is not UTF-8 text".to_owned()))?;
        Self::parse(text.trim_start_matches('\u{feff}'))
    }

    /// Parses YAML or JSON. Time and memory are within small multiples of [`MAX_BYTES`] for any text.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::Manifest(format!("it has {} bytes, more than {MAX_BYTES}", text.len())));
        }
        let manifest: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| Error::Manifest(shown(&e.to_string())))?
        } else {
            serde_yaml_ng::from_str(text).map_err(|e| Error::Manifest(shown(&e.to_string())))?
        };
        manifest.check()
    }

    /// The manifest as JSON, sizes in bytes and times in milliseconds.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Whether the guest has this permission.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.iter().any(|own| own == permission.name())
    }

    fn check(self) -> Result<Self> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        let texts = [Some(&self.version), self.wasm.as_ref(), self.description.as_ref()];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Error::Manifest("a text must not contain the character NUL".to_owned()));
        }
        if self.version.is_empty() || self.version.len() > 64 {
            return Err(Error::Manifest("version must have 1 to 64 characters".to_owned()));
        }
        for permission in &self.permissions {
            match permission.as_str() {
                own if Permission::from_name(own).is_some() => {}
                other if RESERVED.contains(&other) => return Err(Error::PermissionUnavailable(other.to_owned())),
                other => return Err(Error::Manifest(format!("unknown permission \"{}\"", shown(other)))),
            }
        }
        if self.limits.fuel == Some(0) || self.limits.memory == Some(0) || self.limits.time == Some(Duration::ZERO) {
            return Err(Error::Manifest("a limit must be more than zero".to_owned()));
        }
        Ok(self)
    }
}

/// Checks the name of a plugin, which is used in function bodies, file names and messages.
pub fn check_name(name: &str) -> Result<()> {
    let tail_fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if tail_fits && name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err(Error::PluginName(shown(name)))
    }
}

fn default_version() -> String {
    "0.0.0".to_owned()
}

/// Deserializes at most [`MAX_PERMISSIONS`] strings.
fn permissions<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<String>, D::Error> {
    struct List;
    impl<'de> de::Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MAX_PERMISSIONS} permissions")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut from: A) -> std::result::Result<Vec<String>, A::Error> {
            let mut list = Vec::new();
            while let Some(permission) = from.next_element()? {
                if list.len() == MAX_PERMISSIONS {
                    return Err(de::Error::invalid_length(list.len() + 1, &self));
                }
                list.push(permission);
            }
            Ok(list)
        }
    }
    from.deserialize_seq(List)
}

enum Quantity {
    Number(u64),
    Text(String),
}

/// Written by hand: serde's code for an untagged enum first copies the value, with all YAML aliases expanded.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Scalar;
        impl de::Visitor<'_> for Scalar {
            type Value = Quantity;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number or a text like \"16MB\"")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<Quantity, E> {
                Ok(Quantity::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Quantity, E> {
                Ok(Quantity::Text(text.to_owned()))
            }
        }
        from.deserialize_any(Scalar)
    }
}

impl Quantity {
    fn in_units<E: de::Error>(self, units: &[(&str, u64)]) -> std::result::Result<u64, E> {
        let text = match self {
            Self::Number(number) => return Ok(number),
            Self::Text(text) => text,
        };
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, factor)| *factor);
        let known = units.iter().map(|(name, _)| *name).filter(|n| !n.is_empty()).collect::<Vec<_>>().join(", ");
        factor
            .zip(number.parse::<u64>().ok())
            .and_then(|(factor, number)| number.checked_mul(factor))
            .ok_or_else(|| E::custom(format!("\"{text}\" is not a number with one of the units {known}")))
    }
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<usize>, D::Error> {
    let units = [("", 1), ("B", 1), ("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];
    let quantity = Option::<Quantity>::deserialize(from)?;
    let bytes = quantity.map(|q| q.in_units(&units)).transpose()?;
    bytes.map(|b| usize::try_from(b).map_err(de::Error::custom)).transpose()
}

fn time<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<Duration>, D::Error> {
    let units = [("", 1), ("ms", 1), ("s", 1000), ("min", 60_000)];
    let quantity = Option::<Quantity>::deserialize(from)?;
    Ok(quantity.map(|q| q.in_units(&units)).transpose()?.map(Duration::from_millis))
}

fn millis<S: Serializer>(time: &Option<Duration>, to: S) -> std::result::Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_mean_the_same() {
        let yaml = "name: rules\nversion: 1.2.0\nruntime: core\nlimits: {memory: 64MB, time: 2s, fuel: 1000}\npermissions: [log]\n";
        let manifest = Manifest::parse(yaml).unwrap();
        assert_eq!(manifest.limits.memory, Some(64 << 20));
        assert_eq!(manifest.limits.time, Some(Duration::from_secs(2)));
        assert!(manifest.allows(Permission::Log));
        assert_eq!(Manifest::parse(&manifest.to_json().unwrap()).unwrap(), manifest);
    }

    #[test]
    fn unknown_keys_are_named() {
        for text in ["nmae: x", "{\"limits\": {\"memroy\": 1}}"] {
            let error = Manifest::parse(text).unwrap_err();
            let key = if text.contains("nmae") { "nmae" } else { "memroy" };
            assert!(error.to_string().contains(key), "{error}");
            assert_eq!(error.sqlstate(), "22023");
        }
    }

    #[test]
    fn permissions_are_denied_unless_known_and_available() {
        assert!(!Manifest::default().allows(Permission::Log));
        assert_eq!(Manifest::parse("permissions: [http]").unwrap_err().sqlstate(), "0A000");
        assert_eq!(Manifest::parse("permissions: [everything]").unwrap_err().sqlstate(), "22023");
    }

    #[test]
    fn hostile_manifests_are_errors_of_the_user_and_cheap() {
        let aliases = |first: &str, key: &str| {
            let list = "*a, ".repeat(10_000);
            format!("description: {first}\n{key}: [{list}]\n")
        };
        let laughs = (1..30).fold("a0: &a0 lol\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)
        });
        for bad in [
            format!("limits: {{memory: &a [{}]}}", "x, ".repeat(15_000)),
            format!("limits: {{memory: [&a {}, {}]}}", "x".repeat(20_000), "*a, ".repeat(10_000)),
            aliases(&format!("&a {}", "x".repeat(20_000)), "permissions"),
            laughs,
            "[".repeat(60_000),
            "{".repeat(60_000),
            format!("a: {}", "- ".repeat(30_000)),
            "? ".repeat(30_000),
            format!("{{\"limits\": {}", "[".repeat(60_000)),
            "{\"limits\": {\"fuel\": 1e400}}".to_owned(),
            "wasm: \"a\\0b\"".to_owned(),
            "version: \"a\\0b\"".to_owned(),
            "description: \"a\\0b\"".to_owned(),
            format!("{}: 1", "k".repeat(60_000)),
            format!("permissions: [{}]", "p".repeat(60_000)),
            " ".repeat(MAX_BYTES + 1),
            "null".to_owned(),
            "[]".to_owned(),
            "permissions: {log: true}".to_owned(),
        ] {
            let start = std::time::Instant::now();
            let error = Manifest::from_bytes(bad.as_bytes()).unwrap_err();
            assert_eq!(error.sqlstate(), "22023", "{error}");
            assert!(error.to_string().len() < 1000, "{error}");
            eprintln!("{:?} for {}", start.elapsed(), &bad[..bad.len().min(30)]);
        }
        assert_eq!(Manifest::from_bytes(b"\xff\xfe{").unwrap_err().sqlstate(), "22023");
        assert!(Manifest::from_bytes("\u{feff}version: \"1\"".as_bytes()).is_ok());
    }

    #[test]
    fn names_are_plain() {
        for bad in ["", "A", "1a", "a-b", "a:b", "../x", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("package_rules2").is_ok());
    }

    #[test]
    fn bad_quantities_are_refused() {
        for bad in [
            "limits: {memory: 5 bananas}",
            "limits: {time: -1}",
            "limits: {memory: 0}",
            "limits: {memory: 99999999999GB}",
        ] {
            assert!(Manifest::parse(bad).is_err(), "{bad}");
        }
    }
}
