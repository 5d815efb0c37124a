//! The order in which the services of a node are deployed.

use super::AssignedService;
use crate::text::{closest_matches, did_you_mean};

/// Why the services have no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A service is after one that the node does not run.
    #[error(
        "{service} is after {other}, which is not a service of this node{advice}; add it, or remove it from `after`"
    )]
    NotAssigned {
        /// The service with the setting.
        service: String,
        /// The service that it names.
        other: String,
        /// Similar names.
        advice: String,
    },
    /// Services wait for each other. Holds the cycle.
    #[error("services are after each other: {0}; remove one of them from `after`")]
    Cycle(String),
}

/// Orders services so that each follows those that it is `after`; otherwise the order of the file stays.
pub fn order_services(services: &[AssignedService]) -> Result<Vec<AssignedService>, OrderError> {
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    for service in services {
        if let Some(other) = service.after.iter().find(|other| !names.contains(&other.as_str())) {
            let advice = did_you_mean(&closest_matches(other, names.iter().copied()));
            let (service, other) = (service.name.clone(), other.clone());
            return Err(OrderError::NotAssigned { service, other, advice });
        }
    }
    let mut ordered: Vec<AssignedService> = Vec::new();
    let mut left: Vec<&AssignedService> = services.iter().collect();
    while !left.is_empty() {
        let is_placed = |name: &String| ordered.iter().any(|placed| placed.name == *name);
        let Some(next) = left.iter().position(|service| service.after.iter().all(is_placed)) else {
            return Err(OrderError::Cycle(find_cycle(&left)));
        };
        ordered.push(left.remove(next).clone());
    }
    Ok(ordered)
}

/// A cycle among services of which each is after another one of them.
fn find_cycle(left: &[&AssignedService]) -> String {
    let mut path: Vec<&str> = Vec::new();
    let mut at = left.first().copied();
    while let Some(service) = at {
        if let Some(start) = path.iter().position(|name| *name == service.name) {
            return path[start..]
                .iter()
                .chain([&service.name.as_str()])
                .copied()
                .collect::<Vec<_>>()
                .join(" → ");
        }
        path.push(&service.name);
        at = service.after.iter().find_map(|name| left.iter().find(|other| other.name == *name)).copied();
    }
    path.join(" → ")
}

#[cfg(test)]
mod tests {
    use super::{OrderError, order_services};
    use crate::compose::{AssignedService, Exposure};

    fn service(name: &str, after: &[&str]) -> AssignedService {
        AssignedService {
            name: name.to_owned(),
            exposure: Exposure::LocalOnly,
            is_exposure_of_host: false,
            after: after.iter().copied().map(String::from).collect(),
            timeout: None,
        }
    }

    #[test]
    fn each_service_follows_those_it_is_after() {
        let all = [service("c", &["b"]), service("x", &[]), service("b", &["a"]), service("a", &[])];
        let names: Vec<_> = order_services(&all).unwrap().into_iter().map(|service| service.name).collect();
        assert_eq!(names, ["x", "a", "b", "c"]);
    }

    #[test]
    fn cycles_and_unknown_names_are_errors() {
        let all = [service("d", &["a"]), service("a", &["b"]), service("b", &["c"]), service("c", &["a"])];
        let error = order_services(&all).unwrap_err().to_string();
        assert_eq!(error, "services are after each other: a → b → c → a; remove one of them from `after`");
        let all = [service("mosquitto", &[]), service("home", &["mosquito"])];
        let error = order_services(&all).unwrap_err();
        assert!(matches!(error, OrderError::NotAssigned { .. }));
        assert_eq!(
            error.to_string(),
            "home is after mosquito, which is not a service of this node (did you mean mosquitto?); add it, or remove it \
             from `after`"
        );
        let own = [service("a", &["a"])];
        assert!(order_services(&own).unwrap_err().to_string().contains("a → a"));
    }
}
