/* Names nothing of the library's and allocates nothing itself: the line of verbose:on says whose malloc it has. */
int main(void) { return 0; }
