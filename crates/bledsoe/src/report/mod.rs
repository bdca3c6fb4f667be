//! Reports for people: one self-contained HTML file each, readable offline, on a phone, in print, light or dark.
//!
//! In: photos, faces and decisions. Out: a page with everything inside it, pictures included; it runs no script and loads
//! nothing. See [`identification::write`] and
//! [`doctor::write`].
//!
//! ```
//! use bledsoe::{
//!     photo::Photo,
//!     report::identification::{Enrolled, Report, write},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let report = Report {
//!     enrolled: vec![Enrolled { name: "Ada".into(), chips: vec![Photo::new(2, 2, vec![128; 12])?] }],
//!     probes: Vec::new(),
//!     summary: "Nobody came.".into(),
//!     notes: String::new(),
//!     settings: serde_json::json!({ "threshold": 0.4 }),
//! };
//! # let folder = tempfile::tempdir()?;
//! write(&folder.path().join("report.html"), &report)?;
//! # Ok(())
//! # }
//! ```

pub mod doctor;
pub mod identification;

/// Text made safe inside HTML elements and attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(super::escape("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }
}
