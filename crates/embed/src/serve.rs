//! Answering requests.

use crate::request::{Description, Embedded, Library, Reply, Request};
use crate::{Cancel, Error, Models, TextEncoder};

impl Models {
    /// Answers a request. Stops soon after `cancel` is set, with [`Error::Cancelled`].
    pub fn answer(&mut self, request: Request, cancel: &Cancel) -> Result<Reply, Error> {
        cancel.check()?;
        Ok(match request {
            Request::Embed { model, texts, settings } => {
                let vectors = self.get(&model, &settings, cancel)?.encode(&texts, cancel)?;
                Reply::Embedded(Embedded { vectors, watch: self.watch() })
            }
            Request::Describe { name, directory, settings } => {
                let (registered, size, model) = self.register(&name, &directory, &settings, cancel)?;
                let spec = model.spec();
                Reply::Described(Box::new(Description {
                    registered,
                    dimension: model.dimension(),
                    max_tokens: spec.max_tokens,
                    pooling: spec.pooling.name(),
                    normalize: spec.normalize,
                    batched: model.is_batched(),
                    prompts: spec.prompts_json(),
                    default_prompt: spec.default_prompt.clone(),
                    size,
                }))
            }
            Request::Library => Reply::Library(self.loaded_runtime().map(|runtime| Library {
                path: runtime.library().to_owned(),
                version: runtime.version().to_owned(),
                build: runtime.build_info().to_owned(),
            })),
        })
    }
}
