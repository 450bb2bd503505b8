use crate::scenario::parse_inventory;

const GOOD: &str = "\
environment: shop
production: true
pin:
  machine_id: \"0123456789abcdef0123456789abcdef\"
  http: { url: \"http://10.0.0.5/id\", contains: shop }
window: { days: [mon], from: \"22:00\", to: \"04:00\", timezone: Europe/Berlin }
provider:
  host:
    probes:
      - name: web
        service: shop
        attempt:
          http:
            url: \"http://10.0.0.5:8080/\"
            headers: { Accept: text/plain, Cookie: { env: SHOP } }
      - { name: tcp, service: shop, attempt: { tcp: { address: \"db.internal:5432\" } } }
services: [{ name: shop, tier: 1 }]
";

/// The error of the good environment with one thing changed.
fn error_of(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the environment");
    parse_inventory("e.yaml", GOOD.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn a_guarded_environment_is_read() {
    let inventory = parse_inventory("e.yaml", GOOD).unwrap();
    assert!(inventory.production && inventory.window.is_some());
    let facts = inventory.pin.unwrap().facts();
    assert_eq!(facts.len(), 2, "{facts:?}");
}

#[test]
fn every_mistake_is_placed_and_answered() {
    let pin = "pin:
  machine_id: \"0123456789abcdef0123456789abcdef\"
  http: { url: \"http://10.0.0.5/id\", contains: shop }
";
    let cases: [(&str, &str, &str, &str); 17] = [
        (pin, "", "e.yaml:2:13: ", "a production environment needs a pin"),
        (pin, "pin: {}\n", "e.yaml:3:6: ", "drdrill doctor"),
        ("abcdef\"", "ABCDEF\"", "e.yaml:4:15: ", "32 digits and letters a to f"),
        ("machine_id", "machineid", "e.yaml:4:3: ", "nearest first: machine_id"),
        ("10.0.0.5/id", "169.254.169.254/id", "e.yaml:5:16: ", "is never probed"),
        ("days: [mon]", "days: [monday]", "e.yaml:6:18: ", "nearest first: mon"),
        ("days: [mon]", "days: []", "e.yaml:6:", "length"),
        ("\"22:00\"", "2200", "e.yaml:6:30: ", "\"09:00\""),
        ("\"04:00\"", "\"22:00\"", "e.yaml:6:43: ", "different times"),
        ("/Berlin", "/Berln", "e.yaml:6:62: ", "Europe/Berlin"),
        ("http://10.0.0.5:8080/", "https://10.0.0.5/", "e.yaml:14:18: ", "only http:// is spoken"),
        ("10.0.0.5:8080", "0x0a000005", "e.yaml:14:18: ", "write the address as 192.0.2.1"),
        ("10.0.0.5:8080", "me:pw-1234@10.0.0.5", "e.yaml:14:18: ", "{ env: NAME }"),
        ("Cookie: { env: SHOP }", "Cookie: pw-1234", "e.yaml:15:52: ", "Cookie: { env: NAME }"),
        ("Accept:", "Host:", "e.yaml:15:30: ", "leave it out"),
        ("env: SHOP", "var: SHOP", "e.yaml:15:54: ", "nearest first: env, file"),
        ("db.internal:5432", "db.internal", "e.yaml:16:64: ", "host:port"),
    ];
    for (from, to, place, what) in cases {
        let error = error_of(from, to);
        assert!(error.starts_with(place), "{from} -> {to}: expected {place}, got: {error}");
        assert!(error.contains(what), "{from} -> {to}: expected {what}, got: {error}");
        assert!(!error.contains("pw-1234"), "{error}");
    }
}
