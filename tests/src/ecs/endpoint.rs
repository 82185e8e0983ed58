//! The model behind ECS's JSON protocol.
