//! A cluster of three servers, each of which can be stopped and restarted.

use crate::common::{NatsServer, eventually};
use crate::monitor::{MONITORED, clients, peers};

/// Three servers with the generated permissions. Each has its own address, so that its ports stay free while it is
/// stopped.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NatsServer>,
    up: [bool; 3],
}

impl Cluster {
    /// Starts all three, and waits until they are connected to each other.
    pub(crate) fn start() -> Self {
        let mut nodes: Vec<NatsServer> = Vec::new();
        for number in 0..3 {
            let address = own_address();
            let routes = nodes.iter().map(|node| node.address("cluster")).collect::<Vec<_>>();
            let config = config(number, &format!("{address}:-1"), &routes);
            nodes.push(NatsServer::configured(&address, &std::env::temp_dir(), &config));
        }
        let cluster = Self { nodes, up: [true; 3] };
        cluster.formed();
        cluster
    }

    /// The comma-separated URLs of these nodes.
    pub(crate) fn urls(&self, nodes: &[usize]) -> String {
        nodes.iter().map(|node| self.nodes[*node].url()).collect::<Vec<_>>().join(",")
    }

    /// All nodes except one.
    pub(crate) fn others(node: usize) -> Vec<usize> {
        (0..3).filter(|other| *other != node).collect()
    }

    /// Returns the node that the client with this name is connected to, as soon as it is.
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

    /// Restarts a node on the same address, and waits until the running nodes are connected to each other.
    pub(crate) fn restart(&mut self, node: usize) {
        let others = Self::others(node).into_iter();
        let routes: Vec<_> = others.map(|other| self.nodes[other].address("cluster")).collect();
        let config = config(node, &self.nodes[node].address("cluster"), &routes);
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

/// A loopback address that no other test uses.
pub(crate) fn own_address() -> String {
    format!("127.{}.{}.{}", fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255))
}
