//! What a synchronous standby may not have is acknowledged to nobody.

use serde_json::Value;

use crate::support::among::among_others;
use crate::support::docker::docker;
use crate::support::drill::Drill;
use crate::{all_is_gone, marked, psql, ready};

/// Writes of eight clients at once for two seconds, at the primary site; prints how often each status came.
pub(crate) const WRITERS: &str = r"
import sys; sys.path.insert(0, '/usr/local/lib/drdrill')
import collections, hashlib, http.client, json, threading, time, web
token = web.issue(json.load(open('/etc/drdrill.json'))['token_secret'], 'drill', 60000)
count, end = collections.Counter(), time.time() + 2
def write(client):
    number = 0
    while time.time() < end:
        number += 1
        value = f'{client}-{number}'
        body = {'sequence': number, 'value': value, 'checksum': hashlib.sha256(value.encode()).hexdigest()}
        connection = http.client.HTTPConnection('127.0.0.1:8000')
        connection.request('PUT', f'/entries/x-{sys.argv[1]}-{value}', json.dumps(body), {'Authorization': f'Bearer {token}'})
        count[connection.getresponse().status] += 1
threads = [threading.Thread(target=write, args=(client,)) for client in range(8)]
[one.start() for one in threads]; [one.join() for one in threads]
print(json.dumps(count))
";

#[test]
fn what_the_standby_may_not_have_is_acknowledged_to_nobody() {
    let _among = among_others();
    let sandbox = ready();
    let mut host = Drill::start(sandbox.command("env up docker --set strategy=hot"));
    host.says("docker is up; clients come to http://");
    let run = marked(&sandbox);
    let write = |round: &str| -> Value {
        let service = format!("drdrill-{run}-primary-service");
        let said = docker(&["exec", &service, "python3", "-c", WRITERS, round]);
        serde_json::from_str(&said).unwrap()
    };
    let standby = format!("drdrill-{run}-dr-database");
    let acknowledged = |count: &Value| count["201"].as_u64().unwrap_or(0);
    assert!(acknowledged(&write("before")) > 20);
    docker(&["pause", &standby]);
    let during = write("during");
    docker(&["unpause", &standby]);
    assert!(during["504"].as_u64().unwrap() >= 8, "{during}");
    assert_eq!(acknowledged(&during), 0, "{during}");
    // Each of them is at the primary all the same: nobody could tell.
    let kept =
        psql(&run, "primary-database", "SELECT count(*) FROM entries WHERE id LIKE 'x-during-%'");
    assert_eq!(kept.trim().parse::<u64>().unwrap(), during["504"].as_u64().unwrap());
    assert!(acknowledged(&write("after")) > 20);
    sandbox.run("env down docker").exits(0);
    assert_eq!(host.end().code, Some(0));
    all_is_gone(&sandbox, &run);
}
