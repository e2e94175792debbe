mod api_http;
mod invalid;
mod schema;
mod wire_cloud_v6;
