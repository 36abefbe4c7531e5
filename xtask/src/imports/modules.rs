//! The module tree of a crate: the names that each module has and the paths that it mentions.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, ItemMod, ItemUse, UseTree, Visibility};

/// The modules of a crate, its root first.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(super) all: Vec<Module>,
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Module {
    /// Index into [`Modules::files`]. Inline modules share the file of their parent.
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    /// One name can have several meanings: by namespace, or by `cfg`.
    pub(super) names: HashMap<String, Vec<Meaning>>,
    /// Paths that are imported with `::*`.
    pub(super) globs: Vec<Vec<String>>,
    pub(super) mentions: Vec<Mention>,
}

#[derive(Debug)]
pub(super) enum Meaning {
    /// An item of this module.
    Item,
    /// Index into [`Modules::all`].
    Module(usize),
    Import(Vec<String>),
}

/// A path in an import or in code.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    pub(super) is_import: bool,
}

impl Modules {
    /// Reads the crate whose root is this file.
    ///
    /// # Errors
    /// When a file is missing or is not Rust.
    pub(crate) fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        modules.file(root, &folder, None)?;
        Ok(modules)
    }

    /// Adds the module of a file. Its child modules are in `folder`.
    fn file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
    ) -> Result<usize, Box<dyn Error>> {
        let error = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let source = fs::read_to_string(path).map_err(|cause| error(&cause))?;
        let source = syn::parse_file(&source).map_err(|cause| error(&cause))?;
        self.files.push(path.to_owned());
        self.module(self.files.len() - 1, &source.items, folder, parent)
    }

    fn module(
        &mut self,
        file: usize,
        items: &[Item],
        folder: &Path,
        parent: Option<usize>,
    ) -> Result<usize, Box<dyn Error>> {
        let this = self.all.len();
        let (names, globs, mentions) = Default::default();
        self.all.push(Module { file, parent, names, globs, mentions });
        for item in items.iter().filter(|item| !is_test(head(item).0)) {
            if let Item::Mod(child) = item {
                let id = self.child(file, child, folder, this)?;
                self.name(this, &child.ident, Meaning::Module(id));
                continue;
            }
            if let Some(ident) = head(item).1 {
                let exported = head(item).0.iter().any(|of| of.path().is_ident("macro_export"));
                self.name(if exported { 0 } else { this }, ident, Meaning::Item);
            }
            let mut body = Body::default();
            body.visit_item(item);
            let module = &mut self.all[this];
            module.mentions.extend(body.mentions);
            for (name, path) in body.imports {
                match name {
                    Some(name) => {
                        module.names.entry(name).or_default().push(Meaning::Import(path));
                    }
                    None => module.globs.push(path),
                }
            }
        }
        Ok(this)
    }

    /// Adds a module that `parent` declares, inline or in a file of its own.
    fn child(
        &mut self,
        file: usize,
        child: &ItemMod,
        folder: &Path,
        parent: usize,
    ) -> Result<usize, Box<dyn Error>> {
        let name = child.ident.to_string();
        let children = folder.join(&name);
        if let Some((_, items)) = &child.content {
            return self.module(file, items, &children, Some(parent));
        }
        if let Some(path) = path_attribute(&child.attrs) {
            let path = self.files[file].parent().unwrap_or(Path::new("")).join(path);
            let children = path.parent().unwrap_or(Path::new("")).to_owned();
            return self.file(&path, &children, Some(parent));
        }
        let flat = folder.join(format!("{name}.rs"));
        let path = if flat.exists() { flat } else { children.join("mod.rs") };
        self.file(&path, &children, Some(parent))
    }

    fn name(&mut self, module: usize, ident: &Ident, meaning: Meaning) {
        self.all[module].names.entry(ident.to_string()).or_default().push(meaning);
    }
}

/// What the code of an item mentions and imports, up to the items in its functions.
#[derive(Default)]
struct Body {
    mentions: Vec<Mention>,
    /// The name that is imported, or none for a glob, and the path of it.
    imports: Vec<(Option<String>, Vec<String>)>,
}

impl Body {
    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, is_edge: bool) {
        let (name, last) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.import(&tree.tree, path, is_edge);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.import(tree, path.clone(), is_edge));
            }
            UseTree::Name(name) => (Some(&name.ident), Some(&name.ident)),
            UseTree::Rename(rename) => (Some(&rename.rename), Some(&rename.ident)),
            UseTree::Glob(_) => (None, None),
        };
        path.extend(last.map(Ident::to_string).filter(|last| last != "self"));
        let name = name.and_then(|name| {
            if name == "self" { path.last().cloned() } else { Some(name.to_string()) }
        });
        if is_edge {
            let line = tree.span().start().line;
            self.mentions.push(Mention { path: path.clone(), line, is_import: true });
        }
        self.imports.push((name, path));
    }

    /// The paths among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        // Whether the next identifier continues the path, is a field or method, or begins a path.
        let (mut continues, mut is_member) = (false, false);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if !continues {
                        path.clear();
                    }
                    path.push(ident.to_string());
                    let is_type = path[0].starts_with(char::is_uppercase);
                    if !is_member && (is_type || path.len() > 1) {
                        let line = ident.span().start().line;
                        self.mentions.push(Mention { path: path.clone(), line, is_import: false });
                    }
                    (continues, is_member) = (false, false);
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    // The second colon of two.
                    continues = punct.spacing() == Spacing::Alone && continues
                        || punct.spacing() == Spacing::Joint && !path.is_empty();
                }
                TokenTree::Punct(punct) => {
                    path.clear();
                    (continues, is_member) = (false, punct.as_char() == '.');
                }
                TokenTree::Group(group) => {
                    path.clear();
                    (continues, is_member) = (false, false);
                    self.tokens(group.stream());
                }
                TokenTree::Literal(_) => {
                    path.clear();
                    (continues, is_member) = (false, false);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Body {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(head(item).0) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !matches!(item, syn::ImplItem::Fn(function) if is_test(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, Vec::new(), matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = path.span().start().line;
        let path_of = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.mentions.push(Mention { path: path_of, line, is_import: false });
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// `#[cfg(test)]`, or `all` of that and more.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string().replace(' ', "");
        condition == "test" || condition.starts_with("all(test")
    })
}

/// The value of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find(|attribute| attribute.path().is_ident("path")).and_then(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(value) = &pair.value else { return None };
        let syn::Lit::Str(value) = &value.lit else { return None };
        Some(value.value())
    })
}

/// The attributes of an item, and the name that it defines.
fn head(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::ExternCrate(item) => (&item.attrs, None),
        Item::ForeignMod(item) => (&item.attrs, None),
        Item::Impl(item) => (&item.attrs, None),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}
