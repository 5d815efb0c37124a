//! A cluster of three servers, each of which may go and come back.

use crate::common::{Broker, eventually};
use crate::monitor::{MONITORED, clients, peers};

/// Three servers with the generated permissions. Each has an address of its own, where the ports that it was given stay
/// free for it while it is away.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Broker>,
    up: [bool; 3],
}

impl Cluster {
    /// Starts all three, and waits until each knows the others.
    pub(crate) fn start() -> Self {
        let mut nodes: Vec<Broker> = Vec::new();
        for number in 0..3 {
            let address = own_address();
            let routes = nodes.iter().map(|node| node.place("cluster")).collect::<Vec<_>>();
            let config = config(number, &format!("{address}:-1"), &routes);
            nodes.push(Broker::configured(&address, &std::env::temp_dir(), &config));
        }
        let cluster = Self { nodes, up: [true; 3] };
        cluster.formed();
        cluster
    }

    /// The comma list of these nodes.
    pub(crate) fn urls(&self, nodes: &[usize]) -> String {
        nodes.iter().map(|node| self.nodes[*node].url()).collect::<Vec<_>>().join(",")
    }

    /// The nodes but one.
    pub(crate) fn others(node: usize) -> Vec<usize> {
        (0..3).filter(|other| *other != node).collect()
    }

    /// Which node the client of this name is connected to, once it is.
    pub(crate) fn node_of(&self, client: &str) -> usize {
        let is_on =
            |node: &usize| self.up[*node] && clients(&self.nodes[*node]).iter().any(|name| name == client);
        eventually("a connection", || (0..3).find(is_on))
    }

    /// Kills a node.
    pub(crate) fn stop(&mut self, node: usize) {
        self.up[node] = false;
        self.nodes[node].stop();
    }

    /// Starts it again where it was, and waits until the living ones know each other.
    pub(crate) fn restart(&mut self, node: usize) {
        let others = Self::others(node).into_iter();
        let routes: Vec<_> = others.map(|other| self.nodes[other].place("cluster")).collect();
        let config = config(node, &self.nodes[node].place("cluster"), &routes);
        self.nodes[node].restart_with(&config);
        self.up[node] = true;
        self.formed();
    }

    fn formed(&self) {
        let living: Vec<_> = (0..3).filter(|node| self.up[*node]).map(|node| &self.nodes[node]).collect();
        let whole = || living.iter().all(|node| peers(node).len() == living.len() - 1).then_some(());
        eventually("the cluster being whole", whole);
    }
}

fn config(number: usize, listen: &str, routes: &[String]) -> String {
    let routes: Vec<_> = routes.iter().map(|route| format!("\"nats://route:s3cret@{route}\"")).collect();
    format!(
        "server_name: node{number}\n{MONITORED}cluster {{ name: home, listen: \"{listen}\", routes: [{}], \
         authorization {{ user: route, password: s3cret }} }}\n",
        routes.join(", ")
    )
}

/// A loopback address that nobody else uses.
pub(crate) fn own_address() -> String {
    format!("127.{}.{}.{}", fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255))
}
