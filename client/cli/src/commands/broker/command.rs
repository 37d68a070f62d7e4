//! The command `holdfast broker`: its parts, and which of them is run.

use clap::{Args, Subcommand};
use serde_json::json;

use holdfast_checker::text::counted;
use holdfast_client::admin::Admin;
use holdfast_proto::ids::BrokerId;

use super::{disk_lost, drain, find::find, list};
use crate::{
    connect::Connect,
    exit::{Failure, Result},
    output::{Output, print_json, say},
};

const LS_EXAMPLES: &str = "\
Examples:
  holdfast broker ls
  holdfast broker ls -o json | jq '.[] | select(.fenced)'";

const UNDRAIN_EXAMPLES: &str = "\
Examples:
  holdfast broker undrain 4             it may be given replicas again
  holdfast partition rebalance          and gets its share";

const REMOVE_EXAMPLES: &str = "\
Examples:
  holdfast broker drain 4               first, while it runs
  holdfast broker remove 4              after its process has ended for good";

/// Arguments of `holdfast broker`.
#[derive(Debug, Args)]
pub struct BrokerArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    command: BrokerCommand,
}

#[derive(Debug, Subcommand)]
enum BrokerCommand {
    /// Show the brokers and what each carries.
    #[command(visible_alias = "list", after_help = LS_EXAMPLES)]
    Ls,
    /// Empty a broker: move its replicas to the others, so that it can be removed.
    #[command(after_help = drain::EXAMPLES)]
    Drain(drain::DrainArgs),
    /// Let a broker be given replicas again.
    #[command(after_help = UNDRAIN_EXAMPLES)]
    Undrain {
        /// Id of the broker, from `broker ls`.
        #[arg(value_name = "ID")]
        broker: u32,
    },
    /// Give up the disk of a broker that is gone for good: nobody waits for what it holds.
    #[command(after_help = disk_lost::EXAMPLES)]
    DiskLost(disk_lost::DiskLostArgs),
    /// Forget a broker that has ended for good and holds no replica.
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove {
        /// Id of the broker, from `broker ls`.
        #[arg(value_name = "ID")]
        broker: u32,
    },
}

/// Lists the brokers or changes what becomes of one, through any broker that answers.
pub async fn run(args: BrokerArgs, output: Output) -> Result {
    let admin = args.connect.client().await?.admin();
    match args.command {
        BrokerCommand::Ls => list::run(&admin, output).await,
        BrokerCommand::Drain(args) => drain::run(&admin, &args, output).await,
        BrokerCommand::Undrain { broker } => {
            let known = find(&admin, broker).await?;
            admin.set_broker_drain(BrokerId(broker), false).await?;
            let was = if known.draining { "is drained no longer" } else { "was not being drained" };
            done(broker, output, &format!("broker {broker} {was}; `holdfast partition rebalance` gives it its share"));
            Ok(())
        }
        BrokerCommand::DiskLost(args) => disk_lost::run(&admin, &args, output).await,
        BrokerCommand::Remove { broker } => {
            remove(&admin, broker).await?;
            done(broker, output, &format!("broker {broker} is forgotten"));
            Ok(())
        }
    }
}

async fn remove(admin: &Admin, broker: u32) -> Result {
    let known = find(admin, broker).await?;
    if known.replica_count > 0 {
        let replicas = counted(known.replica_count, "replica");
        let message = format!("broker {broker} still has {replicas}: run `holdfast broker drain {broker}` first");
        return Err(Failure::error(message));
    }
    if !known.fenced {
        return Err(Failure::error(format!("broker {broker} is alive: end its process for good first")));
    }
    Ok(admin.remove_broker(BrokerId(broker)).await?)
}

fn done(broker: u32, output: Output, text: &str) {
    match output {
        Output::Json => print_json(&json!({ "broker_id": broker })),
        Output::Table => say(text),
    }
}
