//! Which replicas should move: first off the brokers that are drained or gone, then so that all carry equal loads.
//!
//! Pure and repeatable: the same image and goal give the same plan, and a plan made of its own result is empty. It
//! changes nothing; an operator reads it and sends it as [`crate::Command::AlterReplicas`].
//!
//! 1. **Drain.** Replicas on brokers that are marked or named for it, or that are not registered any more, go to the
//!    least loaded active broker, into a rack of their own where there is one. They keep their place in the order.
//! 2. **Racks** (not with `only_drain`). A partition with two replicas in one rack gives one to a rack without any.
//! 3. **Replicas** (not with `only_drain`). From the most to the least loaded broker, until no two differ by more than
//!    one; each transfer is one that some plan has to make, so there are no more than needed. No partition comes to
//!    stand in fewer racks. Of a broker's replicas one of the topic goes that is most unlike spread.
//! 4. **Preferred leaders** (not with `only_drain`). Replicas change their order, which copies nothing.
//!
//! Racks count only if every active broker names one, as in `placement`. A fenced broker that is not drained keeps
//! what it has: it may be restarting. Partitions under way count as moved, and are changed again only by a drain.

//!
//! `planner` plans, over the `table` of what each broker would hold; `leaders` levels the preferred leaders; `planned` is
//! what goes in and comes out.

mod leaders;
mod planned;
mod planner;
mod table;

pub use planned::{Plan, PlanGoal, PlannedMove};
pub use planner::plan;
