use super::*;

fn http(url: &str) -> Result<HttpUrl<'_>, AddressError> {
    HttpUrl::parse(url)
}

#[test]
fn addresses_are_read() {
    let literal = |text| HostPort::parse(text, None).unwrap().literal.unwrap();
    assert_eq!(literal("127.0.0.1:80").to_string(), "127.0.0.1");
    assert_eq!(literal("[::1]:81").to_string(), "::1");
    assert!(HostPort::parse("db-1.example:5432", None).unwrap().literal.is_none());
    assert_eq!(HostPort::parse("web", Some(80)).unwrap().port, 80);
    let url = http("http://10.0.0.5:8080/a?b=c#d").unwrap();
    assert_eq!(
        (url.authority, url.path.as_str(), url.target.port),
        ("10.0.0.5:8080", "/a?b=c", 8080)
    );
    assert_eq!(http("http://web?x").unwrap().path, "/?x");
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "",
        "host",
        ":80",
        "host:",
        "host:99999",
        "a b:80",
        "[::1",
        "[::1]x:80",
        "::1",
        "h:+80",
        "h:0",
        "[h]:80",
    ] {
        assert!(HostPort::parse(text, None).is_err(), "{text}");
    }
}

#[test]
fn what_drills_are_about_is_allowed() {
    for url in [
        "http://127.0.0.1/",
        "http://127.9.9.9:8080/",
        "http://10.0.0.5/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://198.51.100.7/",
        "http://[::1]:80/",
        "http://[fd00::5]:80/",
        "http://[2001:db8::1]/",
        "http://[::ffff:10.0.0.5]/",
        "http://localhost/",
        "http://db-1.internal/",
        "http://10.example/",
        "http://a1/",
    ] {
        assert!(http(url).is_ok(), "{url}: {:?}", http(url));
    }
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    for url in ["http://admin:hunter2@db/", "https://admin:hunter2@db/", "ftp://hunter2@db"] {
        let said = http(url).unwrap_err().to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = http("http://admin:hunter2@db/").unwrap_err().to_string();
    assert!(said.contains("headers: { Authorization: { env: NAME } }"), "{said}");
}
