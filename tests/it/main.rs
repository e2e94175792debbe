mod invalid;
mod schema;
