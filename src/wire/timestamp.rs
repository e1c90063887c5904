//! google.protobuf.Timestamp with canonical JSON: pbjson-types writes `+00:00` where the proto3 mapping asks for `Z`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Same fields and wire form as google.protobuf.Timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl TryFrom<&Timestamp> for jiff::Timestamp {
    type Error = jiff::Error;
    fn try_from(t: &Timestamp) -> Result<Self, jiff::Error> {
        jiff::Timestamp::new(t.seconds, t.nanos)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(t: jiff::Timestamp) -> Self {
        // jiff counts both parts towards zero, proto counts nanos upwards always.
        let (mut seconds, mut nanos) = (t.as_second(), t.subsec_nanosecond());
        if nanos < 0 {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        Self { seconds, nanos }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let t = jiff::Timestamp::try_from(self).map_err(ser::Error::custom)?;
        let digits = match self.nanos {
            0 => 0,
            n if n % 1_000_000 == 0 => 3,
            n if n % 1_000 == 0 => 6,
            _ => 9,
        };
        s.collect_str(&format_args!("{t:.digits$}"))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(d)?;
        text.parse::<jiff::Timestamp>().map(Into::into).map_err(de::Error::custom)
    }
}
