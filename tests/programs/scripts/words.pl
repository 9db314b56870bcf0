# words.pl - hashes, strings, sorting, regular expressions. The output depends on nothing but this file.
use strict;
use warnings;
my ($seed, %count, %first) = (1);
sub roll { $seed = ($seed * 1103515245 + 12345) % 2147483648; return $seed % $_[0] }
sub word { join '', map { chr(97 + roll(26)) } 1 .. 2 + roll(4) }
for my $line (1 .. 300000) {
    my $text = join ' ', map { word() } 1 .. 8;
    $count{$_}++ for split / /, $text;
    push @{ $first{$1} }, $line if $text =~ /\b([aeiou]\w+[aeiou])\b/;
}
my @top = (sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count)[0 .. 200];
print "$_ $count{$_}\n" for @top;
print scalar(keys %count), " words, ", scalar(keys %first), " with vowels around\n";
my $longest = '';
for (sort keys %first) { $longest = "$_: @{ $first{$_} }" if "@{ $first{$_} }" gt $longest }
print "$longest\n";
