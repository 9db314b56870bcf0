# words.pl N - hashes of arrays, split and join, substitution, sorting. Prints a checksum.
use strict;
use warnings;
use integer;

my ($state, $total, @kept) = (1, 0);

sub below {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    return ($state >> 8) % $_[0];
}

sub one_round {
    my (%lines_of, @text);
    for my $line (1 .. 4000) {
        my @words = map { "w" . below(3000) . ("x" x below(12)) } 1 .. 8;
        push @{ $lines_of{$_} }, $line for @words;
        push @text, join(" ", @words);
    }
    my $all = join("\n", @text);
    $all =~ s/w(\d+)x{3,}/<$1>/g;
    my $sum = 0;
    for my $word (sort keys %lines_of) {
        my %seen;
        $sum += scalar(grep { !$seen{$_}++ } @{ $lines_of{$word} }) * length $word;
    }
    my %record = (text => \@text, count => scalar keys %lines_of);
    push @kept, \%record;
    splice(@kept, below(scalar @kept), 1) if @kept > 6;
    return $sum + length($all) + $record{count};
}

$total += one_round() for 1 .. $ARGV[0];
print "checksum $total ", scalar(@kept), "\n";
