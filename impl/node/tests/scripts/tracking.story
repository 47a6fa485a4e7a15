a client tracking
a client tracking maybe
a client tracking on bogus
a client tracking on redirect
a client tracking on redirect x
a client tracking on redirect 0
a client tracking on redirect 99999
a client tracking on redirect 99999 redirect 3
a client tracking on prefix
a client tracking on prefix a
a client tracking on bcast prefix a prefix ab
a client tracking on bcast prefix a prefix a
a client tracking on bcast optin
a client tracking on bcast optout prefix x
a client tracking on optin optout
a client caching yes
a client caching
a client tracking on bcast prefix a prefix b
a client trackinginfo
a client tracking on bcast prefix ac
a client tracking on bcast prefix c noloop
a client trackinginfo
a client tracking on
a client tracking off prefix
a client tracking off redirect 1
a client tracking off bcast
a client trackinginfo
a client tracking on optin
a client trackinginfo
a client caching yes
a client trackinginfo
a client trackinginfo
a client caching no
a client caching x
a client tracking on
a client tracking on optout
a client tracking off
a client tracking on optout
a client caching yes
a client caching no
a client trackinginfo
a client tracking on noloop noloop optout
a reset
a client trackinginfo
a client tracking on redirect $a redirect $a
