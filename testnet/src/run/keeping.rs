//! Steps in which a person keeps, changes and forgets memories.

use super::Run;
use crate::fault::{Fault, Result};
use crate::notes;
use crate::scenario::Action;

impl Run<'_> {
    pub(super) fn keeping(&mut self, action: &Action) -> Result<Option<String>> {
        match action {
            Action::Keep {
                who,
                text,
                name,
                tags,
                secret,
                file_kib,
            } => {
                let body = if *secret {
                    let word = self.new_canary(who, text);
                    format!("{text}\n\n{word}")
                } else {
                    text.clone()
                };
                let file = file_kib.map(|kib| self.file(who, kib)).transpose()?;
                let id = self.keep(who, &body, tags, file.as_deref())?;
                self.memories.extend(name.clone().map(|name| (name, id)));
            }
            Action::Import { who, notes, tag } => return self.import(who, *notes, tag),
            Action::ImportFolder { who, folder } => {
                let folder = self.folders.testnet.join("scenarios").join(folder);
                let path = self.network.hand_over(who, &folder)?;
                self.tell(who, &["import", &path])?;
            }
            Action::Edit { who, memory, text } => {
                let id = self.memory(memory)?;
                self.tell(who, &["edit", &id, "--body", text])?;
            }
            Action::Tag { who, memory, tag } => {
                let id = self.memory(memory)?;
                self.tell(who, &["tag", "add", &id, tag])?;
            }
            Action::Forget { who, memory } => {
                let id = self.memory(memory)?;
                self.tell(who, &["rm", &id, "--yes"])?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// Keeps a memory; returns its id.
    fn keep(&self, who: &str, body: &str, tags: &[String], file: Option<&str>) -> Result<String> {
        let mut args = vec!["add", body, "--ids"];
        args.extend(tags.iter().flat_map(|tag| ["--tag", tag]));
        args.extend(file.iter().flat_map(|file| ["--attach", *file]));
        self.tell(who, &args)?.word()
    }

    /// Brings a made-up file to a node; returns its path there.
    fn file(&self, who: &str, kib: usize) -> Result<String> {
        let folder = self.network.folder().join(format!("file-{who}-{kib}"));
        notes::write_file(&folder.join("recording.bin"), kib)?;
        let path = self.network.hand_over(who, &folder)?;
        Ok(format!("{path}/recording.bin"))
    }

    fn import(&mut self, who: &str, count: usize, tag: &str) -> Result<Option<String>> {
        let first = self.imported.entry(tag.to_owned()).or_default();
        let folder = self.network.folder().join(format!("{tag}-{first}"));
        notes::write(&folder, *first, count, tag)?;
        *first += count;
        let path = self.network.hand_over(who, &folder)?;
        let output = self.tell(who, &["import", &path, "--json"])?;
        let report = output.json()?;
        if report["new"].as_u64() != u64::try_from(count).ok() {
            return Err(Fault::Answer {
                command: output.command,
                message: format!("{count} notes were to be new: {report}"),
            });
        }
        Ok(None)
    }
}
