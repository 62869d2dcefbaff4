// Package api holds the request and answer types of the aggregator's HTTP API, and its
// paths, shared by the server (aggregator/serve) and by the developer's command.
//
// Nothing enters and nothing leaves here: these are data. Their JSON is a promise to every
// client, as the nouns' is: a field that was once released is never renamed or given
// another meaning. Nothing secret ever stands in an answer.
package api
