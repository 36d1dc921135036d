//! Circles: `/v1/circles`, my private names for sets of persons.

use super::sharing::GrantSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A circle. Nobody but this person's own devices learns of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Circle {
    /// Its name.
    pub name: String,
    /// Who is in it, by petname.
    pub members: Vec<String>,
    /// What its members are given.
    pub shares: Vec<CircleShare>,
    /// The grants that were made for it and count.
    pub grants: Vec<CircleGrant>,
}

/// What the members of a circle are given.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CircleShare {
    /// What it selects.
    pub selector: String,
    /// `read` or `write`.
    pub access: String,
    /// What it is for.
    pub purpose: String,
}

/// A grant that was made for a member.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CircleGrant {
    /// The member's petname.
    pub with: String,
    /// The grant.
    pub grant: String,
    /// `offered`, `active`, `declined`, `expired`, `superseded` or `revoked`.
    pub state: String,
}

/// `POST /v1/circles`: makes a circle.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCircle {
    /// Its name.
    pub name: String,
    /// Who is in it: petnames, `did:key` or unique prefixes of it.
    #[serde(default)]
    pub members: Vec<String>,
}

/// `PATCH /v1/circles/{name}`: changes who is in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CirclePatch {
    /// Who joins; they are offered what the circle is given.
    #[serde(default)]
    pub add_members: Vec<String>,
    /// Who leaves; what they were given as members is revoked.
    #[serde(default)]
    pub remove_members: Vec<String>,
}

/// `POST /v1/circles/{name}:share`: gives the same to all members, now and as they join.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareWithCircle {
    /// What to share.
    pub grant: GrantSpec,
    /// The digest of the preview that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Refuse if the selector takes in another number of memories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<usize>,
}

/// `POST /v1/circles/{name}:unshare`: takes back what the circle is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnshareRequest {
    /// What to take back, as it was shared; everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// What a change of a circle came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CircleChanged {
    /// The circle as it stands.
    pub circle: Circle,
    /// Grants that were offered by this change.
    pub offered: Vec<CircleGrant>,
    /// Grants that were revoked by this change.
    pub revoked: Vec<CircleGrant>,
}
