//! The rows of `tranship recipe`.

use serde::{Deserialize, Serialize};

use crate::op::recipe::Recipe;

/// The recipes of containers, in the order in which they were named. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct RecipeList(pub Vec<RecipeRow>);

/// How to make one container again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecipeRow {
    /// The container's name.
    pub name: String,
    /// The words of the command, as a program takes them: not quoted.
    pub command: Vec<String>,
    /// What the command cannot say, or what should be known of it.
    pub notes: Vec<String>,
    /// The names of variables and options that are masked.
    pub masked: Vec<String>,
}

/// Returns the row of a recipe.
pub(crate) fn row(recipe: &Recipe) -> RecipeRow {
    RecipeRow {
        name: recipe.name.clone(),
        command: recipe.command().concat(),
        notes: recipe.notes.clone(),
        masked: recipe.masked.clone(),
    }
}
