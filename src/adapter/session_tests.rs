use super::*;
use crate::adapter::fault::Fault;
use crate::adapter::pack::Pack;
use crate::adapter::sources::Sources;

const MANIFEST: &str = r#"
schema = 1
id = "x"
name = "x"
version = "0.1.0"
status = "draft"
owners = ["a@b.example"]
format = "xml"
[settings]
site = { help = "the site", example = "RZZ" }
[session]
path = "login"
xml = '<Login site="{{ settings.site }}"><User>{{ login.user }}</User><Password>{{ login.password }}</Password></Login>'
token = "/Session/Token"
send = { header = "Authorization", value = "Session {{ token }}" }
lasts_seconds = 600
over = { at = "//Fault/faultcode", is = ["Expired"] }
[[render]]
entry = "note.withdraw"
template = "templates/n.xml"
request = { method = "POST", path = "notes" }
[reply]
record_id = "/Result/Id"
"#;

fn load(from: &str, to: &str) -> Result<Pack, Vec<Fault>> {
    assert!(MANIFEST.contains(from), "{from}");
    let manifest = MANIFEST.replacen(from, to, 1);
    Pack::from_sources(Sources::from_files("x", [("adapter.toml", &*manifest), ("templates/n.xml", "<Note/>")]))
}

fn session(from: &str, to: &str) -> Session {
    let pack = load(from, to).unwrap_or_else(|f| panic!("{f:?}"));
    pack.manifest.session.clone().expect("a session")
}

const WHO: Who<'_> = Who { user: "ips&co", password: "a<b>\"c\"\\ d" };

fn body(session: &Session) -> String {
    let settings = serde_json::json!({"site": "RZZ"});
    let request = session.request(WHO, settings.as_object().expect("a table")).expect("a request");
    String::from_utf8(request.body).expect("UTF-8")
}

#[test]
fn who_we_are_keeps_its_place_in_every_kind_of_body() {
    let xml = body(&session("x", "x"));
    let document = xml::read(xml.as_bytes()).expect("XML");
    let texts: Vec<_> = document.root_element().children().filter_map(|n| n.text()).collect();
    assert_eq!(texts, [WHO.user, WHO.password]);
    let at = MANIFEST.lines().find(|l| l.starts_with("xml = ")).expect("a line");
    let json = session(at, "json = '{\"u\":\"{{ login.user }}\",\"p\":\"{{ login.password }}\"}'");
    let value: Value = serde_json::from_str(&body(&json)).expect("JSON");
    assert_eq!((value["u"].as_str(), value["p"].as_str()), (Some(WHO.user), Some(WHO.password)));
    let form = session(at, "form = 'u={{ login.user }}&p={{ login.password }}'");
    assert_eq!(body(&form), "u=ips%26co&p=a%3Cb%3E%22c%22%5C%20d");
}

#[test]
fn the_token_stands_once_where_the_pack_looks_and_no_answer_is_quoted() {
    let session = session("x", "x");
    assert_eq!(session.token(b"<Session><Token> T1 </Token></Session>").as_deref(), Ok("T1"));
    for bad in [
        "<Session/>",
        "<Session><Token/></Session>",
        "<Session><Token>secret</Token><Token>secret</Token></Session>",
        "<Session><Token>secret<x/></Token></Session>",
        "{\"token\":\"secret\"}",
        "secret",
        "",
    ] {
        let why = session.token(bad.as_bytes()).expect_err(bad);
        assert!(!why.contains("secret"), "{bad}: {why}");
    }
}

#[test]
fn a_session_is_over_only_when_the_reply_says_so_in_the_listed_word() {
    let session = session("x", "x");
    let over = |body: &str| session.is_over(&Reply::new(500, [], body.as_bytes().to_vec()).to_bytes());
    assert!(
        over("<Fault><faultcode>Expired</faultcode></Fault>")
            && over("<Fault><faultcode>s:Expired</faultcode></Fault>")
    );
    for other in ["<Fault><faultcode>Server</faultcode></Fault>", "<Fault/>", "Expired", "", "<Expired/>"] {
        assert!(!over(other), "{other}");
    }
}

#[test]
fn a_secret_that_cannot_be_written_is_named_and_not_shown() {
    let session = session("x", "x");
    let settings = serde_json::json!({"site": "RZZ"});
    let settings = settings.as_object().expect("a table");
    let said = session.request(Who { user: "u", password: "s3cret\u{1}" }, settings).expect_err("no XML");
    assert!(said.contains("the password") && !said.contains("s3cret"), "{said}");
    assert!(session.request(WHO, &Map::new()).expect_err("no site").contains("the setting site"));
}

#[test]
fn a_session_that_could_not_work_is_refused_with_its_line() {
    for (from, to, word) in [
        ("path = \"login\"", "path = \"https://evil.example/login\"", "cannot be sent"),
        ("path = \"login\"", "path = \"login/{{ login.user }}\"", "cannot be sent"),
        ("path = \"login\"", "path = \"login\"\nmethod = \"GET\"", "cannot log in"),
        ("path = \"login\"", "path = \"login\"\nform = \"p={{ login.password }}\"", "needs one body"),
        ("path = \"login\"", "path = \"login\"\nheaders = { X-User = \"{{ login.user }}\" }", "fixed text"),
        ("{{ login.password }}", "hunter2", "does not say the password"),
        ("{{ login.user }}", "{{ entry.text }}", "nothing that a log in has"),
        ("{{ settings.site }}", "{{ settings.sites }}", "did you mean \"site\"?"),
        ("<User>{{ login.user }}</User>", "<{{ login.user }}/>", "stands in markup"),
        ("</Login>", "", "cannot be read"),
        ("\"/Session/Token\"", "\"/Session/Token[1]\"", "by position"),
        ("\"/Session/Token\"", "\"$.a[\"", "not a JSONPath"),
        ("Session {{ token }}", "Session", "where the token stands"),
        ("\"Authorization\"", "\"Host\"", "no header that can carry a token"),
        ("lasts_seconds = 600", "lasts_seconds = 0", "out of range"),
        ("lasts_seconds = 600", "", "how long a token lasts"),
        ("is = [\"Expired\"]", "is = []", "what ends a session"),
        ("//Fault/faultcode", "/Result/@code", "lies in no Fault"),
        ("\"/Result/Id\"\n", "\"/Result/Id\"\nfault.Expired = \"unknown\"\n", "may have been filed"),
        ("\"/Result/Id\"\n", "\"/Result/Id\"\nfault.Expired = \"query\"\n", "may have been filed"),
        (
            "\"/Result/Id\"\n",
            "\"/Result/Id\"\nfault_at = \"//Fault/faultcode\"\nresult_at = \"//Fault/faultcode\"\nresult.Expired = \"refused\"\n",
            "may have been filed",
        ),
    ] {
        let said: Vec<String> = load(from, to).err().unwrap_or_default().iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|f| f.starts_with("adapter.toml:") && f.contains(word)), "{to}: {said:?}");
    }
    // A template of an entry cannot reach what only the log in has.
    let manifest = Sources::from_files(
        "x",
        [("adapter.toml", MANIFEST), ("templates/n.xml", "<Note>{{ login.password }}</Note>")],
    );
    let said =
        Pack::from_sources(manifest).expect_err("no such input").iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("\"login\" in login.password is not in the input"), "{said}");
}

#[test]
fn the_header_that_carries_the_token_is_no_rows_own() {
    let own = MANIFEST.replacen("\"notes\" }", "\"notes\", headers = { x-token = \"1\" } }", 1);
    let of = |manifest: &str| {
        Pack::from_sources(Sources::from_files("x", [("adapter.toml", manifest), ("templates/n.xml", "<Note/>")])).err()
    };
    assert!(of(&own).is_none());
    let said = of(&own.replacen("\"Authorization\"", "\"X-Token\"", 1)).expect("a fault")[0].to_string();
    assert!(said.contains("sets the header \"X-Token\""), "{said}");
    // Where the rows say that it is where a fault stands, a session's end may be named there.
    let at = MANIFEST.replacen("//Fault/faultcode", "/Result/Error", 1);
    assert!(of(&format!("{at}fault_at = \"/Result/Error\"\n")).is_none());
}
