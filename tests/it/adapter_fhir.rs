//! Packs that speak FHIR: what they send is accepted by judges and a server we did not write, breaks are named, and no message of others panics.

use crate::adapter_packs::packs;
use crate::support::{FhirReceiver, fhir_judges, shared};
use ips_bridge::adapter::{Fault, Format, Pack, ParseError, RenderOptions, ReplyRules, check::check, fhir};
use ips_bridge::domain::verdict::Meaning;
use ips_bridge::transport::http_message::{Method, Reply, Request};
use ips_bridge::transport::mesh::MESSAGE;
use ips_bridge::verdict::{ReadBack, correlates, read_back, verdict};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::{fs, time::Duration};

fn fhir_packs() -> Vec<Pack> {
    let all = packs().into_iter().map(|folder| Pack::load(&folder).expect("the pack loads"));
    all.filter(|p| p.format() == Format::Fhir).collect()
}

fn uk_core() -> Pack {
    Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core")).expect("the pack loads")
}

/// Every request that an example of a fhir pack makes.
fn requests() -> Vec<(String, Request)> {
    let mut all = Vec::new();
    for pack in fhir_packs() {
        for name in pack.examples() {
            if let Some(rendered) = pack.render_example(&name, &RenderOptions::default()) {
                let request = Request::parse(&rendered.bytes).expect("what is rendered is a request");
                assert_eq!(request.to_bytes(), rendered.bytes, "{name}: every resend is the same bytes");
                all.push((format!("{} {name}", pack.pin()), request));
            }
        }
    }
    assert!(all.len() > 30, "only {} requests", all.len());
    all
}

/// A message: its id stands in every place that an answer may name it by, and what it points to is named by our id of it.
fn names_its_message_and_its_document(name: &str, message: &Value) {
    let (header, document) = (&message["entry"][0], &message["entry"][1]);
    let own = message["identifier"]["value"].as_str().expect("an identifier");
    assert_eq!(header["resource"]["id"].as_str(), Some(own), "{name}");
    let focus = header["resource"]["focus"][0]["reference"].as_str().expect("a focus");
    assert_eq!(document["fullUrl"].as_str(), Some(focus), "{name}");
    let id = document["resource"]["identifier"][0]["value"].as_str().expect("an identifier");
    assert_eq!(focus.rsplit('/').next(), Some(id), "{name}");
    let handling = header["resource"]["extension"][0]["extension"].as_array().expect("the handling extension");
    assert_eq!(handling.len(), 6, "{name}: all six, or an ITK3 receiver refuses it");
}

#[test]
fn every_request_names_its_own_document_first_and_can_be_asked_for() {
    let pack = uk_core();
    for (name, request) in requests() {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        if request.target == MESSAGE {
            names_its_message_and_its_document(&name, &body);
            continue;
        }
        let own = body["identifier"][0]["value"].as_str().expect("an identifier");
        if let Some(condition) = request.headers.get("if-none-exist") {
            assert_eq!((request.method, condition.rsplit('|').next()), (Method::Post, Some(own)), "{name}");
        }
        let question = fhir::read_back(&request.to_bytes()).expect("it has an identifier");
        let question = Request::parse(&question).expect("a request");
        assert_eq!(question.method, Method::Get);
        assert!(question.target.ends_with(&format!("%7C{own}")), "{name}: {}", question.target);
        assert_eq!(
            pack.read_back(&request.to_bytes(), &serde_json::Map::new()).map(|b| b.len()),
            Some(question.to_bytes().len())
        );
    }
}

#[test]
fn a_pack_says_which_entries_need_the_records_own_id() {
    let pack = uk_core();
    let given = "identifier_system = 'https://s.example'\nstaff_system = 'https://s.example'\nreferral_system = 'https://s.example'\noutcome_as = 'observation'";
    let settings = pack.settings(&given.parse().expect("TOML")).expect("good settings");
    let needs: Vec<&str> = pack.renders().into_iter().filter(|e| pack.names_by_record_id(e, &settings)).collect();
    assert_eq!(needs, ["note.withdraw", "outcome.replace", "outcome.withdraw"]);
}

#[test]
fn any_whole_http_reply_correlates_and_nothing_else_does() {
    let rules = ReplyRules::of(Format::Fhir);
    assert!(correlates(b"HTTP 500\n\n", &rules, "C1"));
    assert!(!correlates(b"MSH|^~\\&|E|R|I|R|20260302||ACK|A1|T|2.4\rMSA|AA|C1\r", &rules, "C1"));
    assert!(!correlates(b"", &rules, "C1"));
}

#[test]
fn every_text_comes_back_exactly_or_is_not_sent() {
    // What an author may write is up to the domain: no control characters but tab and line feed.
    for text in [
        "a",
        "\n\n",
        "\n",
        " x ",
        "a\n\nb\n\n\nc\n",
        "\ttab",
        "<br/>&amp;<b>",
        "]]>",
        "ĉ ŵ ŷ 👋🏽 \u{200d} ’“”–£",
        "\\n \\u0000 \"{{ x }}\"",
        "ips-text",
    ] {
        for pack in fhir_packs() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(&pack.manifest.id);
            for example in ["render-note", "render-outcome-job-start", "render-outcome"] {
                let Ok(input) = fs::read_to_string(folder.join("examples").join(example).join("input.json")) else {
                    continue;
                };
                let mut input: Value = serde_json::from_str(&input).expect("JSON");
                input["entry"]["text"] = Value::from(text);
                let bytes =
                    ips_bridge::adapter::examples::render(&folder, &input.to_string(), &toml::Table::new(), None);
                let (_, made) = bytes.unwrap_or_else(|f| panic!("{} {text:?}: {f:?}", pack.pin()));
                let body = Request::parse(&made.bytes).expect("a request").body;
                assert!(!body.is_empty());
            }
        }
    }
}

/// A copy of the UK Core pack with one text of one file changed; the line that was changed, and what `check` says.
fn broken(file: &str, find: &str, put: &str) -> (u32, Vec<Fault>) {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("fhir-uk-core");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core"), &pack);
    let text = fs::read_to_string(pack.join(file)).expect("the file");
    let at = text.find(find).unwrap_or_else(|| panic!("{file} holds no {find}"));
    let line = 1 + text[..at].matches('\n').count();
    fs::write(pack.join(file), text.replacen(find, put, 1)).expect("written");
    let report = check(&pack, verdict);
    (u32::try_from(line).expect("small"), report.faults)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[test]
fn each_of_many_breaks_is_named_with_file_line_and_remedy() {
    for (file, find, put, word) in [
        ("templates/document.json", "\"{{ entry.title }}\"", "\"{{ entry.titel }}\"", "titel"),
        ("templates/document.json", "parts/subject.json", "parts/subjct.json", "subjct"),
        ("templates/document.json", "\"status\": \"current\",", "\"status\": \"current\"", "not JSON"),
        ("templates/parts/subject.json", "nhs_number }}", "nhs_numbr }}", "nhs_numbr"),
        ("templates/parts/document.txt", "{% endfor %}", "{% endif %}", "closes"),
        ("templates/parts/document.txt", "{{ line }}", "{{ line }", "not closed"),
        ("templates/parts/labels.json", "\"$then\": \"V\"", "\"$than\": \"V\"", "did you mean \"$then\"?"),
        ("templates/parts/content.json", "\"$as\": \"base64\"", "\"$as\": \"base46\"", "base46"),
        ("templates/task.json", "code('decline_reason')", "code('decline_reson')", "decline_reson"),
        (
            "maps/service_request.toml",
            "\"patient_details.date_of_birth\"",
            "\"patient_details.birth_date\"",
            "birth_date",
        ),
        ("maps/service_request.toml", "as = \"fhir_date\"", "as = \"fhir_dat\"", "fhir_dat"),
        ("maps/service_request.toml", "\"$.subject -> $.birthDate\"", "\"$.subject -> .birthDate\"", "RFC 9535"),
        ("maps/service_request.toml", "\"@.value\"", "\"$[value\"", "RFC 9535"),
        ("maps/service_request.toml", "setting = \"referral_source\"", "seting = \"referral_source\"", "seting"),
        ("maps/service_request.toml", "makes = \"CreateReferralRequest\"", "makes = \"Referal\"", "Referal"),
        ("maps/service_request.toml", "\"$.status\" = [\"active\"]", "\"$.status\" = []", "paths and values"),
        ("adapter.toml", "issue.duplicate\" = \"query\"", "issue.duplicate\" = \"qery\"", "qery"),
        ("adapter.toml", "401 = \"retry\"", "401 = \"positive\"", "never be positive"),
        ("adapter.toml", "message = \"ServiceRequest\"", "message = \"service_request\"", "not a resource type"),
        ("codes/gender.csv", "GENDER_MALE,male,", "GENDER_MAIL,male,", "GENDER_MAIL"),
    ] {
        let (line, faults) = broken(file, find, put);
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        // A comma that is missing is seen where the next value begins.
        let near = |f: &&Fault| f.line == line || (word == "not JSON" && f.line == line + 1);
        let hit = faults.iter().find(|f| f.file == file && near(f) && format!("{f}").contains(word));
        let hit = hit.unwrap_or_else(|| panic!("{file}:{line} {put}\n  {}", shown.join("\n  ")));
        assert!(!hit.hint.is_empty(), "{hit}");
        assert!(shown.iter().all(|f| !f.contains("Testpatient") && !f.contains("9990000018")), "{shown:?}");
    }
}

#[test]
fn a_damaged_referral_is_refused_by_field_name_and_never_by_value() {
    let pack = uk_core();
    let given = "identifier_system = 'https://s.example'\nstaff_system = 'https://s.example'\nreferral_system = 'https://s.example'\noutcome_as = 'document'";
    let settings = pack.settings(&given.parse().expect("TOML")).expect("good settings");
    for example in ["parse-service-request", "parse-bundle"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("adapters/fhir-uk-core/examples")
            .join(example)
            .join("message.json");
        let text = fs::read_to_string(file).expect("a message");
        let whole: Value = serde_json::from_str(&text).expect("JSON");
        let mut pointers = Vec::new();
        leaves(&whole, "", &mut pointers);
        let mut refused = 0;
        for pointer in &pointers {
            for damage in [
                Value::Null,
                serde_json::json!({"x": ["Testpatient"]}),
                serde_json::json!(1.5),
                serde_json::json!([["a"], "b"]),
            ] {
                let mut damaged = whole.clone();
                *damaged.pointer_mut(pointer).expect("a leaf") = damage;
                if let Err(e) = pack.parse(damaged.to_string().as_bytes(), &settings, "Europe/London") {
                    refused += 1;
                    let said = e.to_string();
                    let names = ["Testpatient", "9990000018", "Adeyemi", "07700", "SO99"];
                    assert!(names.iter().all(|n| !said.contains(n)), "{example} {pointer}: {said}");
                }
            }
        }
        assert!(refused > 30, "only {refused}");
        // A message cut short is never half a referral.
        for end in (0..text.trim_end().len()).filter(|n| text.is_char_boundary(*n)) {
            let said = pack.parse(&text.as_bytes()[..end], &settings, "Europe/London");
            assert!(matches!(said, Err(ParseError::Unreadable(_))), "{example} cut at {end}");
        }
    }
}

fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| leaves(v, &format!("{at}/{k}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| leaves(v, &format!("{at}/{i}"), found)),
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn interop_every_rendered_example_passes_every_fhir_judge() {
    let all = requests();
    let bodies: Vec<Vec<u8>> = all.iter().map(|(_, r)| r.body.clone()).collect();
    let names: Vec<String> = all.iter().enumerate().map(|(i, (name, _))| format!("{i} {name}")).collect();
    assert_eq!(fhir_judges(&bodies), Ok(()), "{}", names.join(", "));
}

#[test]
fn interop_every_fhir_message_of_the_corpus_is_parsed_or_refused_with_a_reason() {
    let pack = uk_core();
    let settings = "identifier_system = 'https://s.example'\nstaff_system = 'https://s.example'\nreferral_system = 'https://s.example'\noutcome_as = 'document'\ndefault_team = 'IPS'";
    let settings = pack.settings(&settings.parse().expect("TOML")).expect("good settings");
    let (mut files, mut read, mut refusals, mut outcomes) = (0, 0, Vec::new(), 0);
    let mut folders = vec![shared().join("corpus/fhir")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = fs::read(&path).expect("readable");
            match pack.parse(&bytes, &settings, "Europe/London") {
                Ok(_) => read += 1,
                Err(e @ ParseError::Fields(_)) => {
                    let (status, wrong) = fhir::outcome::refusal(&e);
                    assert_eq!(status, 422);
                    refusals.push(fhir::outcome::operation_outcome(&wrong).to_string().into_bytes());
                }
                Err(e) => assert!(!e.to_string().is_empty()),
            }
            // As a reply none of them may panic or file anything: none is an answer to a request of ours.
            let reply = Reply::new(200, [], bytes).to_bytes();
            let v = verdict(&reply, &ReplyRules::of(Format::Fhir), "C1", b"POST Task\n\n{\"resourceType\":\"Task\"}");
            assert_ne!(v.meaning, Meaning::Positive, "{}", path.display());
            outcomes += usize::from(v.code.len() > 3);
        }
    }
    assert!(files > 150 && outcomes > 40, "{files} files, {outcomes} outcomes");
    println!("{files} files: {read} referrals read, {} refused for their fields", refusals.len());
    assert!(read + refusals.len() > 5, "{read} referrals read, {} refused for their fields", refusals.len());
    assert_eq!(fhir_judges(&refusals), Ok(()), "what we answer is an OperationOutcome");
}

/// Sends a request as it was rendered, with what a transport adds.
fn send(port: u16, request: &[u8]) -> Vec<u8> {
    let request = Request::parse(request).expect("a request");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut head = format!(
        "{} /fhir/R4/{} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n",
        request.method.as_str(),
        request.target,
        request.body.len()
    );
    request.headers.iter().for_each(|(n, v)| head.push_str(&format!("{n}: {v}\r\n")));
    stream.write_all(&[head.as_bytes(), b"\r\n", &request.body].concat()).expect("written");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("an answer");
    let end = heard.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&heard[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    let headers = head.lines().skip(1).filter_map(|l| l.split_once(": "));
    Reply::new(status, headers, heard[end + 4..].to_vec()).to_bytes()
}

#[test]
fn interop_a_fhir_server_of_others_takes_what_we_send_and_the_verdicts_are_right() {
    let server = FhirReceiver::start();
    let pack = uk_core();
    let rules = pack.reply_rules(&toml::Table::new()).expect("rules");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/fhir-uk-core");
    let bytes_of = |example: &str, record_id: Option<&str>| {
        let input = fs::read_to_string(folder.join("examples").join(example).join("input.json")).expect("an input");
        let mut input: Value = serde_json::from_str(&input).expect("JSON");
        if let Some(id) = record_id {
            input["message"]["replaces"]["record_id"] = Value::from(id);
        }
        ips_bridge::adapter::examples::render(&folder, &input.to_string(), &toml::Table::new(), None)
            .expect("rendered")
            .1
            .bytes
    };
    let judged = |bytes: &[u8]| {
        let reply = send(server.port, bytes);
        assert!(correlates(&reply, &rules, "C1"));
        verdict(&reply, &rules, "C1", bytes)
    };
    let asked = |bytes: &[u8]| {
        read_back(&send(server.port, &pack.read_back(bytes, &serde_json::Map::new()).expect("a question")), bytes)
    };

    // A note: not there, created, and found; sent again it is the same one.
    let note = bytes_of("render-note", None);
    assert_eq!(asked(&note), ReadBack::NotFound);
    let first = judged(&note);
    assert_eq!((first.meaning, first.code.as_str()), (Meaning::Positive, "201"));
    let id = first.record_id.expect("an id");
    assert_eq!(asked(&note), ReadBack::Found { record_id: id.clone() });
    let again = judged(&note);
    assert_eq!(
        (again.meaning, again.code.as_str(), again.record_id.as_deref()),
        (Meaning::Positive, "200", Some(&*id))
    );

    // Withdrawn in place: found as what it is now.
    let withdrawal = bytes_of("render-note-withdrawn", Some(&id));
    assert_eq!(asked(&withdrawal), ReadBack::NotFound);
    let gone = judged(&withdrawal);
    assert_eq!((gone.meaning, gone.record_id.as_deref()), (Meaning::Positive, Some(&*id)));
    assert_eq!(asked(&withdrawal), ReadBack::Found { record_id: id.clone() });
    assert_eq!(asked(&note), ReadBack::CannotSay { why: "it is there with another status" });

    // An outcome, corrected in place; a replaced note; an answer.
    let outcome = judged(&bytes_of("render-outcome-job-start", None)).record_id.expect("an id");
    let corrected = judged(&bytes_of("render-outcome-corrected", Some(&outcome)));
    assert_eq!((corrected.meaning, corrected.record_id.as_deref()), (Meaning::Positive, Some(&*outcome)));
    let replacement = bytes_of("render-note-replaced", Some(&id));
    // Under the withdrawal's own id it finds the withdrawn one, and that is no filing.
    let found = judged(&replacement);
    assert_eq!((found.meaning, found.code.as_str()), (Meaning::Unknown, "200, with another status"));
    let own = String::from_utf8(replacement)
        .expect("JSON")
        .replace("01JNBRZC5M8Q4T7V9XA2E3F4G2", "01JNBRZC5M8Q4T7V9XA2E3F4G7");
    assert_eq!(judged(own.as_bytes()).meaning, Meaning::Positive);
    assert_eq!(judged(&bytes_of("render-reply-declined", None)).meaning, Meaning::Positive);

    // What it refuses is refused, with its reason.
    let mut bad = Request::parse(&note).expect("a request");
    bad.body = br#"{"resourceType":"DocumentReference","status":"current"}"#.to_vec();
    let refused = judged(&bad.to_bytes());
    assert_eq!((refused.meaning, refused.code.as_str()), (Meaning::Refused, "422 invalid"));
    let nowhere = bytes_of("render-outcome-withdrawn", Some("no-such-id"));
    assert_ne!(judged(&nowhere).meaning, Meaning::Unknown);
}
