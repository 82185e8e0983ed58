# What the container would run: report.sh KIND DATE
echo "the $1 report of $2, started by $ECS_TRIGGER_ROUTE"
