//! The tables as rows, for everything but the hot path. Conversion to the domain is `repo`'s.
//!
//! No relations: rows are joined by their tenant in `scope`, never by an id alone.

pub(crate) mod access_token;
pub(crate) mod audit_chain;
pub(crate) mod audit_entry;
pub(crate) mod delivery;
pub(crate) mod idempotency;
pub(crate) mod identity;
pub(crate) mod instance_key;
pub(crate) mod job;
pub(crate) mod merge;
pub(crate) mod merge_candidate;
pub(crate) mod merge_token;
pub(crate) mod node;
pub(crate) mod outbox;
pub(crate) mod phone;
pub(crate) mod phone_budget;
pub(crate) mod phone_code;
pub(crate) mod platform;
pub(crate) mod platform_app;
pub(crate) mod platform_request;
pub(crate) mod push_mark;
pub(crate) mod push_setting;
pub(crate) mod retired_slug;
pub(crate) mod superseded_key;
pub(crate) mod tombstone;
pub(crate) mod union_member;
pub(crate) mod webhook;
pub(crate) mod webhook_turn;
pub(crate) mod wechat_call;

/// The one row about the whole database.
pub(crate) mod instance {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "instance")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i16,
        pub(crate) kind: String,
        pub(crate) restore_epoch: i32,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A master key that this database has seen, by its fingerprint.
pub(crate) mod master_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "master_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Vec<u8>,
        pub(crate) first_seen_at: i64,
        pub(crate) state: String,
        pub(crate) activated_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The number of the last change; its row lock orders changes as they commit.
pub(crate) mod change_counter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "change_counter")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i16,
        pub(crate) seq: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One administrative change.
pub(crate) mod change {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "change")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) seq: i64,
        pub(crate) tenant_id: Option<Uuid>,
        pub(crate) kind: String,
        pub(crate) row_id: Option<Uuid>,
        pub(crate) at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far a sweep has come.
pub(crate) mod sweep_cursor {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sweep_cursor")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) task: String,
        pub(crate) after_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A tenant.
pub(crate) mod tenant {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tenant")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) slug: Vec<u8>,
        pub(crate) name: String,
        pub(crate) status: String,
        pub(crate) policy: String,
        pub(crate) sessions_epoch: i32,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A data key of a tenant, sealed by a master key.
pub(crate) mod data_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "data_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) number: i32,
        pub(crate) purpose: String,
        pub(crate) sealed: Vec<u8>,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A signing key of a tenant, its private part sealed.
pub(crate) mod signing_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) kid: Vec<u8>,
        pub(crate) tenant_id: Uuid,
        pub(crate) algorithm: String,
        pub(crate) state: String,
        pub(crate) private: Vec<u8>,
        pub(crate) public_jwk: String,
        pub(crate) created_at: i64,
        pub(crate) activated_at: Option<i64>,
        pub(crate) retired_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An Open Platform account of a tenant.
pub(crate) mod union_group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "union_group")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) tenant_id: Uuid,
        pub(crate) name: String,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A mini-program of a tenant, its secrets sealed.
pub(crate) mod app {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "app")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) tenant_id: Uuid,
        pub(crate) appid: Vec<u8>,
        pub(crate) name: String,
        pub(crate) status: String,
        pub(crate) union_group_id: Option<Uuid>,
        pub(crate) policy: String,
        pub(crate) secret: Vec<u8>,
        pub(crate) previous_secret: Option<Vec<u8>>,
        pub(crate) sessions_epoch: i32,
        pub(crate) created_at: i64,
        pub(crate) secret_state: String,
        pub(crate) secret_changed_at: Option<i64>,
        pub(crate) platform_appid: Option<Vec<u8>>,
        pub(crate) withdrawn_at: Option<i64>,
        pub(crate) api_security: Option<Vec<u8>>,
        pub(crate) previous_api_security: Option<Vec<u8>>,
        pub(crate) api_security_changed_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A person inside a tenant.
pub(crate) mod user {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) tenant_id: Uuid,
        pub(crate) status: String,
        pub(crate) nickname: Option<String>,
        pub(crate) avatar_url: Option<String>,
        pub(crate) external_id: Option<String>,
        pub(crate) sessions_epoch: i32,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The number of a tenant's last revocation; its row lock orders them as they commit.
pub(crate) mod revocation_counter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "revocation_counter")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) tenant_id: Uuid,
        pub(crate) seq: i64,
        pub(crate) pruned: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Something of a tenant that ended, or was blocked, or may act again.
pub(crate) mod revocation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "revocation")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) seq: i64,
        pub(crate) kind: String,
        pub(crate) subject: Vec<u8>,
        pub(crate) effect: String,
        pub(crate) at: i64,
        pub(crate) expires_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A downstream service with a secret of its own.
pub(crate) mod service_client {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "service_client")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Vec<u8>,
        pub(crate) tenant_id: Uuid,
        pub(crate) name: String,
        pub(crate) secret_digest: Vec<u8>,
        pub(crate) previous_digest: Option<Vec<u8>>,
        pub(crate) previous_until: Option<i64>,
        pub(crate) policy: String,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The name of a service, owned by one tenant.
pub(crate) mod audience {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audience")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: Vec<u8>,
        pub(crate) tenant_id: Uuid,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a proxy may ask of a token, by name.
pub(crate) mod forward_auth_policy {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "forward_auth_policy")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: Vec<u8>,
        pub(crate) tenant_id: Uuid,
        pub(crate) audience: Vec<u8>,
        pub(crate) scopes: String,
        pub(crate) created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The key of an operator, or of an admin of one tenant.
pub(crate) mod admin_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "admin_key")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) tenant_id: Option<Uuid>,
        pub(crate) name: String,
        pub(crate) secret_digest: Vec<u8>,
        pub(crate) scopes: String,
        pub(crate) created_at: i64,
        pub(crate) expires_at: Option<i64>,
        pub(crate) last_used_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The appid of a mini-program that was removed, and whose it was.
pub(crate) mod released_appid {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "released_appid")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) appid: Vec<u8>,
        pub(crate) tenant_id: Uuid,
        pub(crate) at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
