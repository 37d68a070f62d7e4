//! `holdfast broker disk-lost`.

use clap::Args;
use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::admin::{Admin, LostDisk, Presence};
use holdfast_proto::{
    ids::{BrokerEpoch, BrokerId},
    v1::BrokerInfo,
};

use super::find::find_or_expected;
use crate::{
    exit::{Failure, Result},
    output::{Output, confirm, print_json, tell},
    width::fit,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  # what would be given up; changes nothing
  holdfast broker disk-lost 4 --dry-run
  # asks
  holdfast broker disk-lost 4

For a machine that will not come back. Partitions that wait for what it holds
go on with the replicas that are left, if these can prove that they hold all
that was acknowledged; if not: holdfast partition recover. Should it come back
after all, it copies its replicas again.

Its addresses are asked first: a process that recovers its logs has no session
yet, and may hold what nobody else does. While one is there it is refused.

A broker that was named when the controllers were recovered, and that they do
not know, has no address: make sure that there is none with this id. So one
that was named by mistake is waited for no more.";

#[derive(Debug, Args)]
pub(super) struct DiskLostArgs {
    /// Id of the broker, from `broker ls`.
    #[arg(value_name = "ID")]
    broker: u32,
    /// Show what would be given up, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Go on though its process may run: what it holds and nobody else does is given up.
    #[arg(long)]
    accept_loss: bool,
    /// Answer the question with yes.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(admin: &Admin, args: &DiskLostArgs, output: Output) -> Result {
    let known = find_or_expected(admin, args.broker).await?;
    if known.as_ref().is_some_and(|known| !known.fenced) {
        let message = format!("broker {} is alive: its disk is there, and nothing was changed", args.broker);
        return Err(Failure::error(message));
    }
    // One that is waited for, and never registered, has no epoch.
    let epoch = BrokerEpoch(known.as_ref().map_or(0, |known| known.broker_epoch));
    let broker = BrokerId(args.broker);
    let plan = admin.plan_lose_disk(broker, epoch).await?;
    let present = match &known {
        Some(known) if !args.accept_loss => present(admin, known).await?,
        _ => None,
    };
    let what = if known.is_some() { cost(args.broker, &plan) } else { cost_of_expected(args.broker, &plan) };
    tell(output, fit(&what, " "));
    if args.dry_run {
        if let Some(present) = present {
            tell(output, fit(&refusal(&present), " "));
        }
        if output == Output::Json {
            print_json(&as_json(args.broker, &plan));
        }
        return Ok(());
    }
    if let Some(present) = present {
        return Err(Failure::error(format!("nothing was changed: {}", refusal(&present))));
    }
    confirm(&format!("The disk of broker {broker} is lost for good, and nobody waits for it any more"), args.yes)?;
    let done = admin.lose_disk(broker, epoch).await?;
    match output {
        Output::Json => print_json(&as_json(args.broker, &done)),
        Output::Table => {
            let led = counted(done.led, "partition");
            let next = match known {
                Some(_) => format!(". To place its replicas on others: holdfast broker drain {broker}"),
                None => String::new(),
            };
            let text = format!(
                "the disk of broker {broker} is given up; {led} got a leader by it. What still waits: holdfast cluster \
                 status{next}"
            );
            tell(output, fit(&text, " "));
        }
    }
    Ok(())
}

/// What is there at the broker's addresses, though it has no session; `None` if nobody is.
async fn present(admin: &Admin, broker: &BrokerInfo) -> Result<Option<String>> {
    let (id, addresses) = (broker.broker_id, [broker.client_address.as_str(), broker.peer_address.as_str()]);
    let [client, peer] = addresses.map(|address| async move {
        if address.is_empty() { Ok(Some(Presence::Nobody)) } else { admin.presence(address).await }
    });
    let (client, peer) = tokio::try_join!(client, peer)?;
    let found = addresses.into_iter().zip([client, peer]);
    // An answer says more than that something listens.
    let by_weight = |(_, found): &(&str, Option<Presence>)| match found {
        Some(Presence::Answers) => 0,
        Some(Presence::Silent) => 1,
        None => 2,
        Some(Presence::Nobody) => 3,
    };
    let Some((address, found)) = found.min_by_key(by_weight) else { return Ok(None) };
    Ok(match found {
        Some(Presence::Nobody) => None,
        Some(Presence::Answers) => Some(format!(
            "a process answers at {address}, the address of broker {id}: it may be recovering its logs (its own log tells), \
             and registers then"
        )),
        Some(Presence::Silent) => Some(format!(
            "something listens at {address}, the address of broker {id}, and says nothing: its process may be paused, or hang"
        )),
        None => Some(format!(
            "with one address for all nobody can ask whether the process of broker {id} runs: ask from where {address} can be \
             reached"
        )),
    })
}

/// Why nothing is changed, and how to go on.
fn refusal(present: &str) -> String {
    format!("{present}. If its disk is lost all the same, end that process first; to go on without: --accept-loss")
}

/// What is about to be given up, and what it costs.
fn cost(broker: u32, plan: &LostDisk) -> String {
    let lost = match plan.eligible {
        0 => "none of them was in sync or eligible when it went".to_owned(),
        1 => "1 of them was in sync or eligible when it went, and what it alone holds is given up".to_owned(),
        some => format!("{some} of them were in sync or eligible when it went, and what these alone hold is given up"),
    };
    format!(
        "broker {broker} has no session. {} of it would not count any more until copied again; {lost}. {} would get a leader \
         by it.",
        counted(plan.replicas, "replica"),
        counted(plan.led, "partition"),
    )
}

/// The same of a broker that never registered: nothing is known of what it holds.
fn cost_of_expected(broker: u32, plan: &LostDisk) -> String {
    format!(
        "broker {broker} is not known, and is waited for as it was named when the controllers were recovered. What it alone \
         holds would be given up; {} would get a leader by it.",
        counted(plan.led, "partition")
    )
}

fn as_json(broker: u32, lost: &LostDisk) -> serde_json::Value {
    json!({ "broker_id": broker, "replicas": lost.replicas, "eligible": lost.eligible, "led": lost.led })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_costs_is_said_in_numbers() {
        let text = cost(4, &LostDisk { replicas: 12, eligible: 1, led: 3 });
        assert!(
            text.starts_with("broker 4 has no session. 12 replicas of it") && text.contains("1 of them was in sync"),
            "{text}"
        );
        let none = cost(4, &LostDisk { replicas: 12, eligible: 0, led: 0 });
        assert!(none.contains("none of them was in sync or eligible when it went. 0 partitions"), "{none}");
        assert!(text.ends_with("3 partitions would get a leader by it."), "{text}");
        let expected = cost_of_expected(6, &LostDisk { replicas: 0, eligible: 0, led: 3 });
        assert!(
            expected.starts_with("broker 6 is not known") && expected.ends_with("get a leader by it."),
            "{expected}"
        );
        let json = as_json(4, &LostDisk { replicas: 12, eligible: 1, led: 3 });
        assert_eq!((&json["broker_id"], &json["replicas"], &json["led"]), (&json!(4), &json!(12), &json!(3)));
    }
}
