//! Where in an object the decoder is, kept as a chain on the stack and written out only for a message.

/// One step down from the parent.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    Root,
    /// A field of the struct `of`.
    Field {
        parent: &'a Place<'a>,
        of: &'static str,
        name: &'a str,
    },
    /// An entry of a map.
    Entry {
        parent: &'a Place<'a>,
        key: &'a str,
    },
    Item {
        parent: &'a Place<'a>,
        index: usize,
    },
}

impl Place<'_> {
    /// `spec.containers[0].image`: the path as people write it.
    pub fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field { parent, name, .. } => joined(parent.path(), name),
            Self::Entry { parent, key } => joined(parent.path(), key),
            Self::Item { parent, index } => format!("{}[{index}]", parent.path()),
        }
    }

    /// `Container.spec.containers.image`: the innermost struct, then the names of fields alone, as Go's JSON
    /// decoder names a field.
    pub fn go_field(&self) -> String {
        let mut names = Vec::new();
        let mut owner = "";
        let mut place = self;
        loop {
            match place {
                Self::Root => break,
                Self::Field { parent, of, name } => {
                    if owner.is_empty() {
                        owner = of;
                    }
                    names.push(*name);
                    place = parent;
                }
                Self::Entry { parent, .. } | Self::Item { parent, .. } => place = parent,
            }
        }
        names.push(owner);
        names.reverse();
        names.join(".")
    }
}

fn joined(parent: String, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}
