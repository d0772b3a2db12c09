//! The command line of what the service does: jobs, and telling people.

use clap::Subcommand;
use inventory::outbox::MessageState;

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Run a job now, whatever its schedule says
    Run {
        /// Its name
        name: String,
        /// The number of the run that the service has begun. Its configuration comes by standard
        /// input, whose end asks for that of the run
        #[arg(long, hide = true, value_name = "RUN")]
        served: Option<i64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// Send a message that says that it is a test, now, and print what the other side says
    Test {
        /// The route's name
        route: String,
    },
    /// List the messages that wait, were sent or were given up
    List {
        /// Only those in this state: pending, sending, sent or failed
        #[arg(long, value_name = "STATE", value_parser = message_state)]
        state: Option<MessageState>,
    },
    /// Send everything that is due, once: for cron, where no service runs
    Deliver,
    /// Have a message tried again that was given up or waits
    Retry {
        /// The message's number
        id: i64,
    },
}

fn message_state(text: &str) -> Result<MessageState, String> {
    let names = MessageState::ALL.map(MessageState::as_str).join(", ");
    MessageState::from_name(text).ok_or_else(|| format!("{text:?} is none of {names}"))
}
