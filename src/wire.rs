//! An HTTP exchange as data, so that dialects are pure functions and the simulator can answer in memory.
//!
//! No client, no server, no streaming: file content that is fetched travels through its own path.

use std::sync::Arc;

/// The methods that the Live Response APIs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What is sent. `path` starts with `/` and holds no query; names of headers are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// In place of the body.
    pub form: Option<Form>,
}

/// A form with one file in it, whose content is shared and not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What comes before the content.
    pub head: Vec<u8>,
    pub content: Arc<[u8]>,
    /// What comes behind it.
    pub tail: Vec<u8>,
}

impl Form {
    pub fn len(&self) -> usize {
        self.head.len() + self.content.len() + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Request {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            form: None,
        }
    }

    /// How many bytes its body has.
    pub fn length(&self) -> usize {
        self.form.as_ref().map_or(self.body.len(), Form::len)
    }

    /// The same request with its form as an ordinary body.
    #[must_use]
    pub fn whole(mut self) -> Self {
        if let Some(form) = self.form.take() {
            self.body = [&form.head[..], &form.content, &form.tail].concat();
        }
        self
    }

    /// The same request with a form, in which a file goes by this name. The boundary stands nowhere in the
    /// content.
    #[must_use]
    pub fn file(mut self, name: &str, content: Arc<[u8]>, boundary: &str) -> Self {
        // As browsers write a name that would end early.
        let name = name
            .replace('"', "%22")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        let form = format!("multipart/form-data; boundary={boundary}");
        self.headers.push(("content-type".into(), form));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        self.form = Some(Form {
            head: head.into_bytes(),
            content,
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
        });
        self
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.headers
            .push(("content-type".into(), "application/json".into()));
        self.body = body.to_string().into_bytes();
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// What came back, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}
