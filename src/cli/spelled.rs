//! How choices are spelled in files: as on the command line.

use crate::cli::ops::Compress;

impl TryFrom<String> for Compress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        crate::cli::migrate::compress(&text)
    }
}

impl From<Compress> for String {
    fn from(compress: Compress) -> Self {
        match compress {
            Compress::None => "none".to_owned(),
            Compress::Gzip(level) => format!("gzip:{level}"),
            Compress::Zstd(level) => format!("zstd:{level}"),
        }
    }
}

/// A platform such as `linux/arm64`.
pub(crate) mod platform {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::format::oci::Platform;

    pub(crate) fn serialize<S: Serializer>(
        platform: &Option<Platform>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        platform.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Platform>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        let parse = |text: String| crate::cli::migrate::platform(&text).map_err(D::Error::custom);
        text.map(parse).transpose()
    }
}

/// A size such as `10GB`.
pub(crate) mod size {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        let parse = |text: String| crate::cli::size::parse(&text).map_err(D::Error::custom);
        text.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_spelled_so_that_it_is_read_again() {
        for compress in [Compress::None, Compress::Gzip(6), Compress::Zstd(1), Compress::Zstd(22)] {
            assert_eq!(Compress::try_from(String::from(compress)), Ok(compress));
        }
    }
}
