//! Programs of a scenario: what they print, in the form of the built-in table, before whose rows they come.

use super::super::endpoint::programs::{Does, Encoding, Families, Row, Written, base_name};
use crate::model::device::Os;
use crate::template::{Choice, Fields, FromNode};
use crate::text::diagnostic::Diagnostics;
use crate::text::duration::Duration;
use crate::text::yaml::Node;

impl Choice for Does {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("print", Self::Print),
        ("echo", Self::Echo),
        ("exit", Self::Exit),
        ("sleep", Self::Sleep),
        ("cat", Self::Cat),
        ("tasklist", Self::Tasklist),
        ("ps", Self::Ps),
        ("reg", Self::Reg),
    ];
}

impl Choice for Encoding {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("utf-8", Self::Utf8),
        ("utf-16", Self::Utf16),
        ("utf-16le", Self::Utf16Le),
        ("cp437", Self::Cp437),
        ("cp850", Self::Cp850),
    ];
}

impl FromNode for Written {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, "the file", "path", all);
        let path = fields.required("path");
        let text = fields.or("text", String::new());
        fields.finish();
        Some(Self { path: path?, text })
    }
}

impl FromNode for Row {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the executable", all).hints(&[
            ("stdout", "use `output`"),
            ("exit_code", "use `code`"),
            ("takes_ms", "use `takes`, with a unit"),
        ]);
        let os: Option<Vec<Os>> = fields.required("os");
        let program: Option<String> = fields.required("program");
        let args = fields.or("args", "*".to_owned());
        let does = fields.or("does", Does::Print);
        let output = fields.or("output", String::new());
        let code = fields.or("code", 0);
        let takes = fields.or("takes", Duration::ZERO);
        let encoding = fields.or("encoding", Encoding::Utf8);
        let writes = fields.or("writes", Vec::new());
        fields.finish();
        let os = Families::Several(os?);
        let reader = if os.has(Os::Windows) {
            Os::Windows
        } else {
            Os::Linux
        };
        Some(Self {
            program: base_name(reader, &program?),
            os,
            args,
            does,
            output,
            code,
            takes_ms: u64::try_from(takes.get().as_millis()).unwrap_or(u64::MAX),
            encoding,
            writes,
        })
    }
}
