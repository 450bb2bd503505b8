//! Somebody uses a token that was stolen from a client.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::{Action, ActionError, Belt, Presence, Tag, Undo};
use drdrill_core::intruder::{Access, Intruder};

/// Somebody uses a token that was stolen from a client of a site.
#[derive(Debug)]
pub struct CredentialsStolen {
    /// The site.
    pub on: String,
    /// Who uses it.
    pub intruder: Arc<dyn Intruder>,
    /// What was seen when it first let somebody in.
    pub proof: Mutex<Option<String>>,
}

#[async_trait]
impl Action for CredentialsStolen {
    fn kind(&self) -> &'static str {
        "credentials_stolen"
    }

    fn target(&self) -> String {
        self.on.clone()
    }

    fn via(&self) -> String {
        "a token that was issued to a client, used by somebody else".to_owned()
    }

    fn belts(&self) -> Vec<Belt> {
        vec![Belt::Journal]
    }

    async fn plan(&self, _: &Tag) -> Result<Undo, ActionError> {
        // A site that lets everybody in shows nothing about what was stolen.
        if let Access::LetIn(what) = self.intruder.with_a_forged_token(&self.on).await? {
            let why =
                format!("a token that nobody issued is let in before anything is broken: {what}");
            return Err(ActionError::new("use a stolen token on", &self.on, why));
        }
        let because = "it only reads, and changes nothing".to_owned();
        Ok(Undo::Nothing { because })
    }

    async fn apply(&self, _: &Tag) -> Result<(), ActionError> {
        // Its use is its effect, and seen when it is looked at.
        Ok(())
    }

    async fn observe(&self, _: &Tag) -> Result<Presence, ActionError> {
        // That it is refused later is the recovery, and not the end of the fault: what was read stays read.
        let seen = self.proof.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(proof) = seen {
            return Ok(Presence::InEffect { proof });
        }
        let stolen = self.intruder.with_a_stolen_token(&self.on).await?;
        let forged = self.intruder.with_a_forged_token(&self.on).await?;
        Ok(match (stolen, forged) {
            (Access::Refused(answer), _) => {
                Presence::Absent { detail: format!("the stolen token is refused: {answer}") }
            }
            (_, Access::LetIn(what)) => {
                Presence::TooWide { detail: format!("a token that nobody issued: {what}") }
            }
            (Access::LetIn(what), Access::Refused(answer)) => {
                let proof = format!(
                    "with a stolen token somebody {what}; one that nobody issued is refused: {answer}"
                );
                *self.proof.lock().unwrap_or_else(PoisonError::into_inner) = Some(proof.clone());
                Presence::InEffect { proof }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site: whether it lets in what was stolen, and what was forged.
    #[derive(Debug)]
    struct Site(bool, bool);

    fn access(let_in: bool) -> Access {
        if let_in { Access::LetIn("reads".to_owned()) } else { Access::Refused("401".to_owned()) }
    }

    #[async_trait]
    impl Intruder for Site {
        async fn with_a_stolen_token(&self, _: &str) -> Result<Access, ActionError> {
            Ok(access(self.0))
        }

        async fn with_a_forged_token(&self, _: &str) -> Result<Access, ActionError> {
            Ok(access(self.1))
        }
    }

    fn fault(stolen: bool, forged: bool) -> CredentialsStolen {
        let intruder = Arc::new(Site(stolen, forged));
        CredentialsStolen { on: "one".to_owned(), intruder, proof: Mutex::default() }
    }

    #[tokio::test]
    async fn it_is_in_effect_where_what_was_stolen_is_let_in_and_nothing_else() {
        let tag = Tag::new("20261121-a1", 1);
        let seen = fault(true, false).observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::InEffect { .. }), "{seen:?}");
        let seen = fault(false, false).observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::Absent { .. }), "{seen:?}");
        let seen = fault(true, true).observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::TooWide { .. }), "{seen:?}");
    }

    #[tokio::test]
    async fn a_site_that_lets_everybody_in_before_is_no_target() {
        let tag = Tag::new("20261121-a1", 1);
        fault(true, false).plan(&tag).await.unwrap();
        let error = fault(true, true).plan(&tag).await.unwrap_err().to_string();
        assert!(error.contains("before anything is broken"), "{error}");
    }

    #[tokio::test]
    async fn that_it_is_refused_later_does_not_end_it() {
        let tag = Tag::new("20261121-a1", 1);
        let mut fault = fault(true, false);
        fault.observe(&tag).await.unwrap();
        fault.intruder = Arc::new(Site(false, false));
        let seen = fault.observe(&tag).await.unwrap();
        assert!(matches!(seen, Presence::InEffect { .. }), "{seen:?}");
    }
}
