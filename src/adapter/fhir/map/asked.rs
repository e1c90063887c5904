//! What a map looks at and what it gives, told without a message: for `adapter check`.

use super::{Each, Field, From, Map};

impl Map {
    /// Whether a message is refused, or a row counts, by what stands at this place (`$.status`), or below it.
    pub fn asks(&self, place: &str) -> bool {
        let is = |shown: &str| {
            let rest = shown.trim().strip_prefix(place);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let when = self.rows().filter_map(|(_, row)| row.when.as_ref()).map(|(path, _)| path);
        self.accept.iter().map(|(path, _)| path).chain(when).any(|path| is(&path.shown))
    }

    /// Whether it refuses any message for what that says.
    pub fn refuses(&self) -> bool {
        !self.accept.is_empty()
    }

    /// Whether a row gives this field of ours; within a list, `merges.surviving_deceased`.
    pub fn gives(&self, ours: &str) -> bool {
        self.gives_one(&|name| name == ours)
    }

    /// Whether a row gives this field of ours, or one within it.
    pub fn gives_of(&self, ours: &str) -> bool {
        self.gives_one(&|name| name.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// What rows say whatever the message says: our field, the value, and the row's line.
    pub fn said_of_all(&self) -> Vec<(String, String, u32)> {
        let of_lists = self
            .each
            .iter()
            .flat_map(|each| each.fields.iter().map(move |field| (format!("{}.{}", each.ours, field.ours), field)));
        let mut found = Vec::new();
        for (name, field) in self.fields.iter().map(|field| (field.ours.clone(), field)).chain(of_lists) {
            let fixed = field.rows.iter().filter(|row| row.when.is_none());
            found.extend(fixed.filter_map(|row| match &row.from {
                From::Value(value) => Some((name.clone(), value.to_string(), row.line)),
                _ => None,
            }));
        }
        found
    }

    fn gives_one(&self, is: &dyn Fn(&str) -> bool) -> bool {
        let named = |list: &str, fields: &[Field]| fields.iter().any(|f| is(&format!("{list}{}", f.ours)));
        let of_list = |each: &Each, before: &str| named(&format!("{before}{}.", each.ours), &each.fields);
        let within = |each: &Each| each.each.iter().any(|e| of_list(e, &format!("{}.", each.ours)));
        named("", &self.fields) || self.each.iter().any(|each| of_list(each, "") || within(each))
    }
}
