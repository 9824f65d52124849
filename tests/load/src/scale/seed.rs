//! Fills an installation as an operator would: `wxgate apply` for tenants and apps, `wxgate user import` for users.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::time::Instant;

use super::Size;
use crate::Failure;
use crate::servers::Gateway;
use crate::simulator::appid;

/// Makes the tenants, their apps and their users, and says how long that took.
pub(super) async fn all(gateway: &Gateway, size: &Size) -> Result<(), Failure> {
    let (state, users) = (gateway.file("tenants.toml"), gateway.file("users.csv"));
    let begun = Instant::now();
    fs::write(&state, tenants(size)?)?;
    gateway.run(&["apply", &state.display().to_string()]).await?;
    let applied = begun.elapsed();
    write_users(File::create(&users)?, size)?;
    let begun = Instant::now();
    gateway.run(&["user", "import", &users.display().to_string()]).await?;
    let Size { name, tenants, users: count, .. } = size;
    println!("{name}: {tenants} tenants in {applied:.1?}, {count} users in {:.1?}", begun.elapsed());
    fs::remove_file(users)?;
    Ok(())
}

/// The file of all tenants. The AppSecret stands in the environment of the command.
fn tenants(size: &Size) -> Result<String, Failure> {
    let mut text = String::new();
    for tenant in 0..size.tenants {
        writeln!(text, "[[tenants]]\nslug = \"t{tenant:05}\"")?;
        for app in size.apps.clone().skip(tenant).step_by(size.tenants) {
            writeln!(text, "[[tenants.apps]]\nappid = \"{}\"\nsecret = {{ env = \"WXGATE_APP_SECRET\" }}", appid(app))?;
        }
    }
    Ok(text)
}

/// The table of all users, those of one app together.
fn write_users(file: File, size: &Size) -> Result<(), Failure> {
    let mut table = BufWriter::new(file);
    writeln!(table, "appid,openid")?;
    let apps = size.apps.len();
    for app in 0..apps {
        for number in (app..size.users).step_by(apps) {
            let user = size.user(number);
            writeln!(table, "{},{}", user.appid, user.openid())?;
        }
    }
    Ok(table.flush()?)
}
