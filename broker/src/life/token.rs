//! Renews the token by which the data folder proves itself.

use std::{sync::Arc, time::Duration};

use holdfast_log::Error;
use holdfast_metadata::version::TRUST;
use holdfast_net::{backoff::Backoff, jitter::jittered};

use crate::{exit::Fatal, here::context::Context};

/// How often it is looked at. A look costs nothing.
const TICK: Duration = Duration::from_millis(250);
/// Longest pause before it is tried again where handles or memory were wanting.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Runs until the broker ends. The first token is said with the registration.
pub(crate) async fn run(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut backoff = Backoff::new(TICK, MAX_PAUSE);
    loop {
        ticks.tick().await;
        let working = Arc::clone(&context);
        match tokio::task::spawn_blocking(move || look(&working)).await {
            Ok(Ok(())) => backoff.reset(),
            // The disk was not asked. The token that was said last proves the folder as before.
            Ok(Err(error)) if error.is_shortage() => {
                tracing::warn!(%error, "the token of the data folder is not renewed, and is tried again");
                tokio::time::sleep(jittered(backoff.next_pause())).await;
            }
            Ok(Err(error)) => return context.state.fail(Fatal::StorageFailed(error.to_string())),
            // The runtime ends.
            Err(_) => return,
        }
    }
}

/// Confirms what is committed, and makes another token if it is time. Blocks on the disk, seldom.
fn look(context: &Context) -> Result<(), Error> {
    let (data_dir, identity) = (&context.logs.data_dir, &context.identity);
    let image = context.metadata.look();
    let own = image.broker(identity.broker_id).filter(|own| own.broker_epoch == identity.broker_epoch());
    let Some(own) = own.filter(|_| image.version() >= TRUST) else { return Ok(()) };
    let (now, syncs) = (context.clock.now(), data_dir.disk().stats().data_syncs);
    if let Some(token) = own.token.filter(|token| context.token.committed(*token)) {
        data_dir.confirm_token(token, image.index(), context.token.was_heard())?;
    }
    if !own.fenced && context.token.is_due(now, syncs) {
        context.token.stored(now, data_dir.next_token()?, syncs);
    }
    Ok(())
}
