//! How messages are described: which field has which tag, and what its bytes become in JSON.

/// A message: what a JSON object is in protobuf.
pub struct Message {
    pub fields: &'static [Field],
}

pub struct Field {
    pub tag: u64,
    /// The name in JSON.
    pub name: &'static str,
    pub repeated: bool,
    pub shape: Shape,
}

/// What a value becomes. Go always writes fields that are no pointers, so their zero means "not set", except
/// where it is kept.
#[derive(Clone, Copy)]
pub enum Shape {
    Text,
    Number,
    Flag,
    /// Numbers, flags and the like of which zero is a value.
    Kept(&'static Shape),
    /// RFC 3339 to the second.
    Time,
    /// The same with microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON inside protobuf.
    Raw,
    /// A map from texts to texts, blobs, quantities or lists of texts.
    Texts,
    Blobs,
    Quantities,
    Lists,
    One(&'static Message),
    /// No pointer in Go, so that an empty message means "not set".
    Plain(&'static Message),
    /// Its fields are those of the parent in JSON.
    Inline(&'static Message),
}

macro_rules! messages {
    ($($message:ident { $($tag:literal $name:ident $shape:tt),* })*) => {
        $(
            #[allow(non_upper_case_globals, reason = "a message is named as its type is")]
            pub static $message: $crate::cluster::server::protobuf::table::Message =
                $crate::cluster::server::protobuf::table::Message {
                    fields: &[$($crate::cluster::server::protobuf::table::field!($tag $name $shape)),*],
                };
        )*
    };
}

macro_rules! field {
    ($tag:literal $name:ident [$item:tt]) => { $crate::cluster::server::protobuf::table::field!(@ $tag $name true $item) };
    ($tag:literal $name:ident $shape:tt) => { $crate::cluster::server::protobuf::table::field!(@ $tag $name false $shape) };
    (@ $tag:literal $name:ident $repeated:literal $shape:tt) => {
        $crate::cluster::server::protobuf::table::Field {
            tag: $tag,
            name: stringify!($name),
            repeated: $repeated,
            shape: $crate::cluster::server::protobuf::table::shape!($shape),
        }
    };
}

macro_rules! shape {
    (text) => {
        $crate::cluster::server::protobuf::table::Shape::Text
    };
    (number) => {
        $crate::cluster::server::protobuf::table::Shape::Number
    };
    (flag) => {
        $crate::cluster::server::protobuf::table::Shape::Flag
    };
    (time) => {
        $crate::cluster::server::protobuf::table::Shape::Time
    };
    (micro_time) => {
        $crate::cluster::server::protobuf::table::Shape::MicroTime
    };
    (quantity) => {
        $crate::cluster::server::protobuf::table::Shape::Quantity
    };
    (int_or_string) => {
        $crate::cluster::server::protobuf::table::Shape::IntOrString
    };
    (raw) => {
        $crate::cluster::server::protobuf::table::Shape::Raw
    };
    (texts) => {
        $crate::cluster::server::protobuf::table::Shape::Texts
    };
    (blobs) => {
        $crate::cluster::server::protobuf::table::Shape::Blobs
    };
    (quantities) => {
        $crate::cluster::server::protobuf::table::Shape::Quantities
    };
    (lists) => {
        $crate::cluster::server::protobuf::table::Shape::Lists
    };
    ((keep $inner:tt)) => {
        $crate::cluster::server::protobuf::table::Shape::Kept(&$crate::cluster::server::protobuf::table::shape!($inner))
    };
    ((plain $message:ident)) => {
        $crate::cluster::server::protobuf::table::Shape::Plain(&$message)
    };
    ((inline $message:ident)) => {
        $crate::cluster::server::protobuf::table::Shape::Inline(&$message)
    };
    ($message:ident) => {
        $crate::cluster::server::protobuf::table::Shape::One(&$message)
    };
}

pub(super) use {field, messages, shape};
