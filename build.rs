//! Compiles `proto/` without protoc: descriptors (for reflection), Rust types, tonic services and proto JSON.

use prost::Message;
use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut names: Vec<String> = fs::read_dir("proto/ips/v1")?
        .map(|f| Ok(format!("ips/v1/{}", f?.file_name().to_string_lossy())))
        .collect::<Result<_, std::io::Error>>()?;
    names.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    for name in &names {
        compiler.open_file(name)?;
    }
    let bytes = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &bytes)?;

    let files = prost_types::FileDescriptorSet::decode(&bytes[..])?;
    let ours: Vec<_> = files.file.iter().filter(|f| f.package() == "ips.v1").flat_map(|f| &f.message_type).collect();
    let mut config = tonic_prost_build::Config::new();
    // Both lines: without the first, "duplicate extern Protobuf path: .google.protobuf".
    config.compile_well_known_types();
    config.extern_path(".google.protobuf.Timestamp", "crate::wire::Timestamp");
    config.extern_path(".google.protobuf", "::pbjson_types");
    // No patient data can reach a log through `{:?}`: the generated Debug is left out and a redacting one stands in `wire`.
    config.skip_debug(ours.iter().map(|m| format!(".ips.v1.{}", m.name())));
    tonic_prost_build::configure().compile_fds_with_config(files.clone(), config)?;

    let mut debug = String::new();
    for message in &ours {
        redacting_debug(&mut debug, message.name());
    }
    fs::write(out.join("redacting_debug.rs"), debug)?;

    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .extern_path(".google.protobuf", "::pbjson_types")
        .emit_fields()
        .preserve_proto_field_names()
        .build(&[".ips.v1"])?;
    Ok(())
}

fn redacting_debug(out: &mut String, name: &str) {
    use std::fmt::Write;
    let _ = writeln!(
        out,
        "impl std::fmt::Debug for {name} {{ fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(\"{name}(..)\") }} }}"
    );
}
