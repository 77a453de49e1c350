//! Prints the public surface of the crate: each item with its signature, its methods, and the traits that it has.
//!
//! ```text
//! cargo run -p public_api > docs/public-api.txt
//! ```
//!
//! It reads the pages that `cargo doc` makes. rustdoc gives the same as data only on nightly, and the crates that read that
//! want one nightly each. On the pages, each item is in a `pre` with a class, and each method and each trait in a heading
//! with one. What rustdoc adds by itself (blanket implementations, `Freeze`) is left out.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

fn main() -> ExitCode {
    match surface() {
        Ok(surface) => {
            print!("{surface}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("public_api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn surface() -> io::Result<String> {
    let pages = document()?;
    let all = fs::read_to_string(pages.join("all.html"))?;
    let mut items: Vec<&str> = between(&all, "<a href=\"", "\"")
        .filter(|link| is_item(link))
        .collect();
    items.sort_by_key(|link| path_of(link));
    items.dedup();
    let mut surface = String::new();
    for link in items {
        let page = fs::read_to_string(pages.join(link))?;
        surface += &format!("{}\n{}\n", path_of(link), item(&page));
    }
    if surface.is_empty() {
        return Err(io::Error::other("no item was found in rustdoc's pages"));
    }
    Ok(surface)
}

/// Has the pages made. Returns their folder.
fn document() -> io::Result<PathBuf> {
    // That of this run: the program may have been built from another checkout, with the same target directory.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or(io::Error::other("run it by `cargo run -p public_api`"))?;
    let root = Path::new(&package).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let status = Command::new(cargo)
        .args([
            "doc",
            "--quiet",
            "--locked",
            "--no-deps",
            "--package",
            "footbridge",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(root)
        .status()?;
    if !status.success() {
        return Err(io::Error::other("cargo doc failed"));
    }
    Ok(target.join("doc/footbridge"))
}

/// A page of an item of the crate's own: `struct.Pool.html`, `time/fn.sleep.html`.
fn is_item(link: &str) -> bool {
    let file = link.rsplit('/').next().unwrap_or(link);
    !link.contains("..") && !link.contains(':') && file.split('.').count() == 3
}

/// `footbridge::time::sleep` for `time/fn.sleep.html`.
fn path_of(link: &str) -> String {
    let (folders, file) = link.rsplit_once('/').unwrap_or(("", link));
    let folders = folders.split('/').filter(|folder| !folder.is_empty());
    let name = file.split('.').nth(1).unwrap_or(file);
    let parts: Vec<&str> = ["footbridge"]
        .into_iter()
        .chain(folders)
        .chain([name])
        .collect();
    parts.join("::")
}

/// What the page says of its item: the declaration, then a line for each method and each trait.
fn item(page: &str) -> String {
    let declarations = between(
        page,
        "<pre class=\"rust item-decl\"><code>",
        "</code></pre>",
    );
    let mut lines: Vec<String> = declarations.take(1).flat_map(declaration).collect();
    let own = page
        .split("id=\"blanket-implementations\"")
        .next()
        .unwrap_or(page);
    for section in own.split("<section id=\"").skip(1) {
        let class = between(section, "class=\"", "\"")
            .next()
            .unwrap_or_default();
        let heading = between(section, "class=\"code-header\">", "</h").next();
        let Some(text) = heading.map(|heading| one_line(&text(heading))) else {
            continue;
        };
        match class {
            "impl" if is_rustdocs_own(&text) => {}
            "impl" => lines.push(format!("    {text}")),
            // What a trait's method is called is known, and not what its types are.
            "method trait-impl" => {}
            // The declaration has them.
            "variant" | "associatedtype" => {}
            "method" if section.starts_with("tymethod") => {}
            _ => lines.push(format!("        {text}")),
        }
    }
    lines.iter().map(|line| line.clone() + "\n").collect()
}

fn declaration(html: &str) -> Vec<String> {
    let text = text(html);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| format!("    {}", line.trim_end()))
        .collect()
}

/// Traits of the compiler's own, which change with it.
fn is_rustdocs_own(heading: &str) -> bool {
    [
        "Freeze for ",
        "UnsafeUnpin for ",
        "StructuralPartialEq for ",
    ]
    .iter()
    .any(|name| heading.contains(name))
}

/// The parts of `text` between `start` and the next `end`.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(move |rest| rest.split(end).next())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without tags and entities.
fn text(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        match part.split_once('>') {
            Some((tag, rest)) if number > 0 => {
                if tag.starts_with("div") || tag == "/div" || tag.starts_with("br") {
                    text.push('\n');
                }
                text += rest;
            }
            _ => text += part,
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("ⓘ", ""), // a mark beside iterators and futures
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text, |text, (entity, char)| text.replace(entity, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r##"<pre class="rust item-decl"><code><div class="code-attribute">#[non_exhaustive]</div>pub struct Pool { <span class="comment">/* private fields */</span> }</code></pre>
<section id="impl-Pool" class="impl"><h3 class="code-header">impl Pool</h3></section>
<section id="method.take" class="method"><h4 class="code-header">pub fn <a href="#">take</a>&lt;T&gt;(&amp;self) -&gt; T<div class="where">where
    T: Send,</div></h4></section>
<section id="impl-Future-for-Pool" class="impl"><h3 class="code-header">impl Future for Pool</h3></section>
<section id="associatedtype.Output" class="associatedtype trait-impl"><h4 class="code-header">type Output = u32</h4></section>
<section id="method.poll" class="method trait-impl"><h4 class="code-header">fn poll()</h4></section>
<section id="impl-Freeze-for-Pool" class="impl"><h3 class="code-header">impl !Freeze for Pool</h3></section>
<h2 id="blanket-implementations"><section id="impl-Any-for-T" class="impl"><h3 class="code-header">impl Any for T</h3></section>"##;

    #[test]
    fn a_page_gives_its_declaration_its_methods_and_its_traits() {
        let expected = "    #[non_exhaustive]
    pub struct Pool { /* private fields */ }
    impl Pool
        pub fn take<T>(&self) -> T where T: Send,
    impl Future for Pool
        type Output = u32
";
        assert_eq!(item(PAGE), expected);
    }

    #[test]
    fn a_link_gives_the_path_of_its_item() {
        assert_eq!(path_of("time/fn.sleep.html"), "footbridge::time::sleep");
        assert!(is_item("struct.Pool.html") && !is_item("index.html") && !is_item("../help.html"));
    }
}
