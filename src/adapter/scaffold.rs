//! The files of a new pack, for `adapter new`: small, and one that passes its check.

use super::examples::{CaseKind, cases};
use super::fault::Faults;
use super::pack::Pack;

const TEMPLATE: &[(&str, &str)] = &[
    ("adapter.toml", include_str!("../../adapters/_template/adapter.toml")),
    ("README.md", include_str!("../../adapters/_template/README.md")),
    ("templates/note.hl7", include_str!("../../adapters/_template/templates/note.hl7")),
    ("codes/gender.csv", include_str!("../../adapters/_template/codes/gender.csv")),
    ("examples/render-note/input.json", include_str!("../../adapters/_template/examples/render-note/input.json")),
    ("examples/render-note/expected.hl7", include_str!("../../adapters/_template/examples/render-note/expected.hl7")),
    (
        "examples/render-note-kept-from-the-patient/input.json",
        include_str!("../../adapters/_template/examples/render-note-kept-from-the-patient/input.json"),
    ),
    (
        "examples/render-note-kept-from-the-patient/expected.hl7",
        include_str!("../../adapters/_template/examples/render-note-kept-from-the-patient/expected.hl7"),
    ),
    (
        "examples/render-note-without-nhs-number/input.json",
        include_str!("../../adapters/_template/examples/render-note-without-nhs-number/input.json"),
    ),
    (
        "examples/render-note-without-nhs-number/expected.err",
        include_str!("../../adapters/_template/examples/render-note-without-nhs-number/expected.err"),
    ),
    ("examples/reply-aa/reply.hl7", include_str!("../../adapters/_template/examples/reply-aa/reply.hl7")),
    ("examples/reply-aa/expected.verdict", include_str!("../../adapters/_template/examples/reply-aa/expected.verdict")),
    ("examples/reply-ae/reply.hl7", include_str!("../../adapters/_template/examples/reply-ae/reply.hl7")),
    ("examples/reply-ae/expected.verdict", include_str!("../../adapters/_template/examples/reply-ae/expected.verdict")),
];

/// A pack from nothing: `_template` under another name.
pub fn from_template(id: &str) -> Vec<(String, String)> {
    let first = "# Copy this folder, rename it, and make `id` the folder's new name.";
    let own = |text: &str| text.replace(first, "#").replace("_template", id).replace("A pack to start from", id);
    TEMPLATE.iter().map(|(path, text)| ((*path).to_owned(), own(text))).collect()
}

/// A pack over another one, with an example of its own: the base's plainest. Expected files are still to be blessed.
pub fn over(id: &str, base: &Pack) -> Vec<(String, String)> {
    let below = &base.manifest.id;
    let owners = base.manifest.owners.iter().map(|o| format!("{o:?}")).collect::<Vec<_>>().join(", ");
    let mut files = vec![
        (
            "adapter.toml".to_owned(),
            format!(
                "#:schema ../schema/adapter.json\n\
                 # What is not said here is said by the base. `ips-bridge adapter diff adapters/{below} adapters/{id}` shows what this pack changes.\n\
                 schema  = 1\nid      = \"{id}\"\nextends = \"{below}\"\nname    = \"{id}, over {below}\"\n\
                 version = \"0.1.0\"          # bump on any change to a rendered byte\n\
                 status  = \"draft\"          # tested and live also need evidence = \"where, when, with which system\"\n\
                 owners  = [{owners}]\n\n\
                 # Another default for a setting of the base:\n# [settings]\n# some_setting = {{ default = \"…\" }}\n"
            ),
        ),
        ("README.md".to_owned(), readme(id, below)),
    ];
    let renders = |name: &str| base.render_example(name, &Default::default()).is_some();
    let mut found = cases(&base.sources, base.manifest.format, &mut Faults::default());
    // The plainest has the shortest name.
    found.sort_by_key(|c| c.name.len());
    if let Some(case) = found.into_iter().find(|c| c.kind == CaseKind::Render && renders(&c.name)) {
        for file in ["input.json", "settings.toml"] {
            let path = format!("examples/{}/{file}", case.name);
            if let Some(text) = base.sources.bytes(&path).and_then(|b| std::str::from_utf8(b).ok()) {
                files.push((format!("examples/{}-{id}/{file}", case.name), text.to_owned()));
            }
        }
    }
    files
}

fn readme(id: &str, base: &str) -> String {
    format!(
        "# {id}\n\nSay in two sentences which EPR this is for and how far it was proved. A layer over `{base}`: read its README too.\n\n\
         ## What it connects\n\nAs `{base}`. What is different: nothing yet.\n\n\
         ## What it cannot do\n\nWhat `{base}` cannot.\n\n\
         ## Settings\n\nAll of `{base}`'s. Name here each one that this pack says otherwise, and why.\n\n\
         ## How to test\n\n`ips-bridge adapter check adapters/{id}`, then `ips-bridge adapter diff adapters/{base} adapters/{id}`. After a change you meant: \
         `ips-bridge adapter test adapters/{id} --bless`, and read the difference.\n\n\
         ## Known traps\n\nNone yet. Write down each one you meet, with an example that shows it.\n\n\
         ## What is known, and from where\n\nNothing yet: name the document or the person for each fact.\n\n\
         ## What is assumed\n\nEverything `{base}` assumes.\n\n\
         ## What to ask the supplier\n\n1. Which document types and events does the EPR take?\n2. What does each acknowledgement mean?\n"
    )
}
