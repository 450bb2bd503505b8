//! What a path names, and what can be done with it.

use axum::http::Method;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Version,
    Reset,
    Populate,
    Proxies,
    Proxy(String),
    Toxics(String),
    Toxic(String, String),
}

impl Resource {
    pub(super) fn at(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let parts: Vec<String> = path.split('/').map(decode).collect::<Option<_>>()?;
        if parts.iter().any(|part| part.is_empty() || part.contains('/')) {
            return None;
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts {
            ["version"] => Some(Self::Version),
            ["reset"] => Some(Self::Reset),
            ["populate"] => Some(Self::Populate),
            ["proxies"] => Some(Self::Proxies),
            ["proxies", proxy] => Some(Self::Proxy(proxy.to_owned())),
            ["proxies", proxy, "toxics"] => Some(Self::Toxics(proxy.to_owned())),
            ["proxies", proxy, "toxics", toxic] => {
                Some(Self::Toxic(proxy.to_owned(), toxic.to_owned()))
            }
            _ => None,
        }
    }

    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Version => &[Method::GET],
            Self::Reset | Self::Populate => &[Method::POST],
            Self::Proxies | Self::Toxics(_) => &[Method::GET, Method::POST],
            Self::Proxy(_) | Self::Toxic(..) => {
                &[Method::GET, Method::POST, Method::PATCH, Method::DELETE]
            }
        }
    }
}

/// Undoes percent encoding.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded() {
        let found = Resource::at("/proxies/my%20proxy/toxics/a%25b");
        let expected = Resource::Toxic("my proxy".to_owned(), "a%b".to_owned());
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn what_is_no_resource_is_none() {
        for path in
            ["", "/", "/proxies/", "/proxies/a/b", "/metrics", "/proxies/%zz", "/proxies/a%2Fb"]
        {
            assert_eq!(Resource::at(path), None, "{path}");
        }
    }
}
