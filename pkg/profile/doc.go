// Package profile is what gopprof knows of pprof files.
//
// Enters: the bytes of one file as a target sent it, gzip or not, to be trusted in
// nothing. Leaves: a Profile whose cost was bounded before it was built, its heaviest
// functions, a cleaned copy for drawing, reduced to what a call graph keeps of it, and the
// sum of several, bounded in the same way.
//
// Must never happen: a file that makes its reader use more than about 100 MB or more than
// a moment; a text or legacy format taken for a profile; a value of a pprof label leaving
// this package. Labels hold what requests carried, and nothing here reads them.
package profile
