//! Open enums of the wire format: an unknown value is kept as the string that a peer sent.

/// The maximum size of an unknown value, in encoded bytes. It limits how much of a peer's data our own messages repeat.
pub(super) const MAX_UNKNOWN: usize = 256;

/// Declares an enum of wire values that keeps unknown values as strings, so that they do not make a message invalid.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(from = "compact_str::CompactString", into = "String")]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A value that this version does not know, as sent. Boxed, because it is rare and would enlarge every
            /// known value.
            Other(Box<String>),
        }

        impl $name {
            /// All values that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value as a string on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(word) => word,
                }
            }

            /// Whether this version knows the value.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($text => Self::$variant,)+
                    other => Self::Other(Box::new($crate::text::fitting_prefix(other, $crate::protocol::open_enum::MAX_UNKNOWN).to_owned())),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<compact_str::CompactString> for $name {
            fn from(word: compact_str::CompactString) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $name::Other(word) => *word,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use open_enum;
